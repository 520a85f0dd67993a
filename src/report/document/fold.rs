//! Records to a document.

use chrono::{DateTime, Utc};

use super::{Act, Chain, Document, FORM, Hold, Kept, Look, Moment, New, Old, Place, Reader, Took, Wait, Waived, outcome};
use crate::{
    ids::KeyId,
    protocol::{Answer, Ask, Debt, Effect, End, Event, Kind, Phase, Proof, Query, Role},
    record::{Decreed, Detail, Plan, Record},
    report::{
        emergency::leaked,
        paint::{bare, capital},
        summary::{self, because, times},
        time::between,
        words,
    },
    rotation::{Broken, Rotation},
};

/// Everything about a rotation. `head` is the last record's hash, `journal` the id of the journal it stands in; `decrees` are that
/// journal's.
///
/// # Errors
/// [`Broken`], where the records make no rotation.
pub fn document(records: &[Record], decrees: &[Decreed], head: &str, journal: &str, now: DateTime<Utc>) -> Result<Document, Broken> {
    let (Some(first), rest) = (records.first(), records.get(1..).unwrap_or_default()) else { return Err(Broken::NoPlan) };
    let mut rotation = Rotation::begin(first)?;
    let mut told = Told::default();
    told.began(&rotation, first);
    for record in rest {
        let before = Before {
            held: rotation.state.held.is_some(),
            gated: rotation.gated.is_some(),
            phase: rotation.state.phase,
            old_leak: rotation.state.old_leak,
        };
        rotation.add(record)?;
        told.add(&rotation, record, &before);
    }
    let mut document = told.close(&rotation, records, Chain { journal: journal.into(), records: rotation.seq, head: head.into() }, now);
    document.leak = leaked(&rotation, decrees);
    Ok(document)
}

struct Before {
    held: bool,
    gated: bool,
    phase: Phase,
    old_leak: Debt,
}

#[derive(Default)]
struct Told {
    people: Vec<Act>,
    versions: Vec<Vec<Kept>>,
    looks: Vec<Look>,
    /// The looks that the next deletion or switching off would rest on.
    pending: Option<usize>,
    waits: Vec<Wait>,
    setbacks: Vec<Moment>,
    takeovers: usize,
    waivers: Vec<Waived>,
    holds: Vec<Hold>,
    timeline: Vec<Moment>,
    disabled_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    death: Option<Moment>,
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    between(from, to).as_secs_f64()
}

impl Told {
    fn began(&mut self, rotation: &Rotation, record: &Record) {
        if let Some(begun) = &rotation.plan.begun {
            self.people.push(Act { at: record.at, by: begun.by.clone(), did: "began the rotation".into(), reason: begun.why.clone() });
        }
        self.happened(rotation, record);
        self.kept(rotation, record);
    }

    fn add(&mut self, rotation: &Rotation, record: &Record, before: &Before) {
        let moment = self.happened(rotation, record);
        self.kept(rotation, record);
        self.holds(rotation, record, before);
        self.looked(rotation, record, before);
        if before.gated && rotation.gated.is_none() {
            self.waited(record.at);
        }
        match (&record.event, &record.detail) {
            (Event::Refused(..) | Event::Lost(_), _) => self.setbacks.push(moment),
            (Event::Resumed, _) => self.takeovers += 1,
            (Event::Asked(ask), Detail::Person { by, reason, waiver, .. }) => {
                let did = match ask {
                    Ask::Rollback => "asked to go back to the old key",
                    Ask::GoOn => "said that it may go on",
                    Ask::Amend => "gave it a changed playbook",
                    Ask::Waive => "did without a proof",
                    Ask::Emergency(..) => "declared an emergency",
                };
                self.people.push(Act { at: record.at, by: by.clone(), did: did.into(), reason: reason.clone() });
                if let Some(waiver) = waiver {
                    let (consumer, instance) = (waiver.consumer.clone(), waiver.instance.clone());
                    self.waivers.push(Waived { at: record.at, consumer, instance, by: by.clone(), reason: reason.clone() });
                }
            }
            (Event::Asked(_), Detail::Emergency(emergency)) => {
                let (by, reason) = (emergency.by.clone(), Some(emergency.reason.clone()));
                self.people.push(Act { at: record.at, by, did: "declared an emergency".into(), reason });
            }
            (Event::Parked(_) | Event::Gated, Detail::Waiting(waiting)) => self.waits.push(Wait {
                what_for: waiting.what_for.clone(),
                planned_seconds: waiting.lasts.as_secs_f64(),
                began: record.at,
                ended: None,
                lasted_seconds: None,
            }),
            (Event::Waited(_), _) => self.waited(record.at),
            (Event::Did(Effect::Disable), _) => self.disabled_at = Some(record.at),
            (Event::Did(Effect::Enable), _) => self.disabled_at = None,
            _ => {}
        }
        // Gone already is deleted too: the state says so, whatever the reply was.
        let paid = before.old_leak != Debt::Paid && rotation.state.old_leak == Debt::Paid;
        if paid || before.phase == Phase::Delete && matches!(rotation.state.phase, Phase::ProveDead) {
            self.revoked_at = Some(record.at);
        }
        if matches!(record.event, Event::Saw(Query::Dead(_), Answer::Yes)) {
            self.death = self.timeline.last().cloned();
        }
    }

    fn waited(&mut self, at: DateTime<Utc>) {
        if let Some(wait) = self.waits.last_mut().filter(|wait| wait.ended.is_none()) {
            (wait.ended, wait.lasted_seconds) = (Some(at), Some(seconds(wait.began, at)));
        }
    }

    fn happened(&mut self, rotation: &Rotation, record: &Record) -> Moment {
        let moment = Moment { seq: record.seq, at: record.at, sentence: words::sentence(rotation, record), tone: tone(rotation, record) };
        self.timeline.push(moment.clone());
        moment
    }

    /// The rotation knows which versions there are; here each gets the time it was first seen.
    fn kept(&mut self, rotation: &Rotation, record: &Record) {
        self.versions.resize_with(rotation.versions.len(), Vec::new);
        for (told, known) in self.versions.iter_mut().zip(&rotation.versions) {
            for (version, key) in known {
                if !told.iter().any(|kept| kept.version == *version) {
                    told.push(Kept { version: version.clone(), key: *key, at: record.at });
                }
            }
        }
    }

    fn holds(&mut self, rotation: &Rotation, record: &Record, before: &Before) {
        let Some(why) = rotation.state.held else {
            if let Some(hold) = self.holds.last_mut().filter(|hold| hold.until.is_none() && before.held) {
                hold.until = Some(record.at);
            }
            return;
        };
        if !before.held {
            self.holds.push(Hold { from: record.at, until: None, held: why, why: words::why(why) });
        }
    }

    fn looked(&mut self, rotation: &Rotation, record: &Record, before: &Before) {
        if let (Event::Saw(query, answer), Detail::Evidence { proved, missing }) = (&record.event, &record.detail) {
            let (purpose, consumer, key) = match query {
                Query::Consumer(role, i) => ("picking it up".to_owned(), Some(words::consumer(&rotation.plan, *i)), *role),
                Query::Everyone(role) => (before_what(before.phase).to_owned(), None, *role),
                Query::Watched => ("while the old key was off".to_owned(), None, Role::New),
                _ => return,
            };
            // Whoever retakes all proof does so for a step that follows: only then it has counted.
            let retaken = matches!(query, Query::Everyone(_)) && rotation.state.proof >= Proof::Instances;
            let counted = *answer == Answer::Yes && !retaken;
            let (proved, missing) = (proved.clone(), missing.clone());
            self.looks.push(Look { seq: record.seq, at: record.at, purpose, consumer, key, answer: *answer, counted, proved, missing });
            self.pending = retaken.then(|| self.looks.len() - 1);
        } else if rotation.state.proof == Proof::None && !matches!(record.event, Event::Intended(_)) {
            self.pending = None;
        }
        if matches!(record.event, Event::Intended(Effect::Disable | Effect::Delete(_)))
            && let Some(look) = self.pending.take().and_then(|at| self.looks.get_mut(at))
        {
            look.counted = true;
        }
    }

    fn close(self, rotation: &Rotation, records: &[Record], chain: Chain, now: DateTime<Utc>) -> Document {
        let plan = &rotation.plan;
        let old_key = plan.old.as_ref().map(|old| Old {
            id: old.id.clone(),
            fingerprint: old.fingerprint.clone(),
            created_at: old.created_at,
            expires_at: old.expires_at,
            identified_by: old.proof.clone(),
            disabled_at: self.disabled_at,
            revoked_at: self.revoked_at,
            proved_dead: self.death.is_some() || plan.rules.kind == Kind::Replace,
            death: self.death,
            stands: fate(&words::old_key(rotation), old.id.as_ref()),
        });
        let new_key = rotation.new.as_ref().map(|new| New {
            id: new.id.clone(),
            name: rotation.names.last().cloned(),
            fingerprint: new.fingerprint.clone(),
            created_at: new.created_at,
            expires_at: new.expires_at,
            stands: unless_waived(fate(&words::new_key(rotation), Some(&new.id)), rotation),
        });
        let places = plan.stores.iter().zip(self.versions);
        Document {
            report: FORM,
            made_by: concat!("keyroll ", env!("CARGO_PKG_VERSION")).into(),
            made_at: now,
            rotation: rotation.id.to_string(),
            playbook: plan.name.clone(),
            origin: plan.origin.clone(),
            provider: plan.provider.clone(),
            kind: plan.rules.kind,
            begun: plan.begun.clone(),
            outcome: outcome(rotation),
            headline: headline(rotation),
            because: because(records),
            began: rotation.began,
            ended: rotation.state.ended().map(|_| rotation.last),
            lasted_seconds: seconds(rotation.began, rotation.last),
            old_key,
            new_key,
            people: self.people,
            stores: places.map(|(store, versions)| Place { locator: store.locator.clone(), versions }).collect(),
            consumers: readers(plan),
            verifications: self.looks,
            waits: self.waits,
            attempts: u8::try_from(rotation.names.len()).unwrap_or(u8::MAX),
            setbacks: self.setbacks,
            takeovers: self.takeovers,
            waivers: self.waivers,
            holds: self.holds,
            notes: plan.notes.clone(),
            leak: None,
            steps: times(records).iter().map(|(step, took)| Took { step: step.title(plan), seconds: took.as_secs_f64() }).collect(),
            timeline: self.timeline,
            next: words::next(rotation),
            chain,
        }
    }
}

fn readers(plan: &Plan) -> Vec<Reader> {
    let reader = |one: &crate::record::ConsumerPlan| Reader {
        name: one.name.clone(),
        job: one.job,
        expected: one.expected,
        baseline: one.baseline.clone(),
    };
    plan.consumers.iter().map(reader).collect()
}

/// `old key AKIA…1: in use` → `in use`.
fn fate(line: &str, id: Option<&KeyId>) -> String {
    let after = id.and_then(|id| line.find(id.as_str()).map(|at| at + id.as_str().len())).unwrap_or_default();
    let rest = line.get(after..).unwrap_or(line);
    rest.split_once(": ").map_or(rest, |(_, fate)| fate).to_owned()
}

fn unless_waived(stands: String, rotation: &Rotation) -> String {
    const ALL: &str = "proved by every instance";
    if rotation.waivers.is_empty() { stands } else { stands.replace(ALL, "proved by every instance whose proof was not waived") }
}

/// The summary's first line without its mark and the playbook's name.
fn headline(rotation: &Rotation) -> String {
    let line = bare(&summary::outcome(rotation));
    let line = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
    capital(line.strip_prefix(rotation.plan.name.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line))
}

fn before_what(phase: Phase) -> &'static str {
    match phase {
        Phase::Disable => "again, before the old key was to be switched off",
        Phase::Delete => "again, before the old key was to be deleted",
        Phase::BackVerify => "on the way back",
        Phase::BackDelete => "again, before the new key was to be deleted",
        _ => "again",
    }
}

fn tone(rotation: &Rotation, record: &Record) -> &'static str {
    if rotation.state.held.is_some() {
        return "warn";
    }
    if let Some(end) = rotation.state.ended() {
        return if end == End::Done { "good" } else { "bad" };
    }
    match &record.event {
        Event::Intended(Effect::Delete(Role::Old)) => "forever",
        Event::Refused(..) | Event::Lost(_) => "bad",
        Event::Saw(Query::Settle, answer) => {
            if *answer == Answer::Yes {
                "good"
            } else {
                "warn"
            }
        }
        Event::Saw(_, Answer::Yes) | Event::Did(_) => "good",
        Event::Saw(_, Answer::Later) => "plain",
        Event::Saw(..) => "bad",
        Event::Gated | Event::Asked(_) | Event::Resumed => "warn",
        Event::Planned | Event::Intended(_) | Event::Parked(_) | Event::Waited(_) => "plain",
    }
}
