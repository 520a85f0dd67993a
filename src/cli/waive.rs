//! `keyroll waive`: a person does without one proof, on the record.

use super::{
    App, Fail, app,
    drive::{append, take},
    person::person,
};
use crate::{
    ids::InstanceId,
    protocol::{Ask, Event},
    record::{Detail, Waiver},
    sight::Blind,
};

#[derive(clap::Args)]
pub struct Args {
    /// A rotation's id (or its beginning), or a playbook's name [default: the only open one]
    rotation: Option<String>,
    /// The consumer
    #[arg(long)]
    consumer: String,
    /// One of its instances [default: all of them]
    #[arg(long)]
    instance: Option<String>,
    /// Why; it is recorded
    #[arg(long)]
    reason: String,
}

pub async fn run(app: &App, args: &Args) -> Result<u8, Fail> {
    let journal = app::required(app).await?;
    let found = app::find(journal, args.rotation.as_deref()).await?;
    if !found.plan.consumers.iter().any(|consumer| consumer.name == args.consumer) {
        let names: Vec<_> = found.plan.consumers.iter().map(|consumer| consumer.name.as_str()).collect();
        return Err(Fail::usage(format!("the playbook has no consumer `{}`; it has {}", args.consumer, names.join(", "))));
    }
    if found.plan.consumers.iter().any(|consumer| consumer.name == args.consumer && consumer.job) {
        return Err(Fail::usage(format!("{} is a job: it has no instances that prove anything", args.consumer)).of(&found));
    }
    if let Some(instance) = &args.instance {
        let baseline =
            found.plan.consumers.iter().filter(|consumer| consumer.name == args.consumer).flat_map(|consumer| &consumer.baseline);
        let missing =
            found.missing.iter().filter(|missing| missing.consumer == args.consumer).filter_map(|missing| missing.instance.as_ref());
        if !baseline.chain(missing).any(|known| known.as_str() == instance) {
            return Err(Fail::usage(format!("{} has no instance `{instance}`", args.consumer)).of(&found));
        }
    }
    let waiver = Waiver { consumer: args.consumer.clone(), instance: args.instance.clone().map(InstanceId::new) };
    let detail = Detail::Person { by: person(), reason: Some(args.reason.clone()), playbook: None, waiver: Some(waiver) };
    let (mut rotation, mut lease) = take(app, journal, &found.id, &mut Blind).await?;
    append(app, journal, &mut lease, &mut rotation, Event::Asked(Ask::Waive), detail, &mut Blind).await?;
    let whom = args.instance.as_deref().map_or_else(|| format!("all of {}", args.consumer), |id| format!("{id} of {}", args.consumer));
    anstream::println!("{whom} need not prove anything in rotation {}; that may break it if it still uses the old key", rotation.id);
    anstream::println!("next: keyroll resume {}", rotation.id);
    Ok(0)
}
