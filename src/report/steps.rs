//! The steps of a rotation as people count them, and the way ahead when all goes well.

use crate::{
    protocol::{Action, Answer, Ask, Event, Phase, State, Why, apply, decide},
    record::Plan,
};

/// One step: a phase, or a few that belong together in a person's eyes. Stores and consumers by their place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// Get a key, and delete what a lost create left.
    Create,
    /// Try it.
    Probe,
    /// Write it to a store and see it there.
    Store(u8),
    /// Have a consumer pick it up and prove it.
    Consumer(u8),
    /// In an emergency: have everybody prove the new key at once.
    All,
    /// The wait before the old key is touched.
    Grace,
    /// A person revokes.
    ByHand,
    /// Wait for the old key to be idle.
    Idle,
    /// Switch the old key off.
    Disable,
    /// See that nobody complains.
    Watch,
    /// The wait between disable and delete.
    Soak,
    /// Delete the old key.
    Delete,
    /// See it refused.
    ProveDead,
    /// Read the stores once more.
    LastLook,
    /// Delete a new key that no store serves, and what lost creates left.
    CleanUp,
    /// Write the old key back to a store.
    BackStore(u8),
    /// Have a consumer pick the old key up.
    BackConsumer(u8),
    /// Have everyone prove the old key.
    BackVerify,
    /// The wait before the new key is deleted.
    BackGrace,
    /// Delete the new key.
    BackDelete,
    /// See the provider refuse the leaked new key.
    BackDead,
    /// Switch the old key on again.
    BackEnable,
    /// It is over.
    Ended,
}

impl From<Phase> for Step {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Create | Phase::Stray(None) => Self::Create,
            Phase::Discard | Phase::Stray(Some(_)) | Phase::Sweep(_) => Self::CleanUp,
            Phase::Probe => Self::Probe,
            Phase::Promote(i) | Phase::Converge(i) => Self::Store(i),
            Phase::Fence => Self::BackStore(0),
            Phase::Rollout(i) | Phase::Verify(i) => Self::Consumer(i),
            Phase::All => Self::All,
            Phase::Grace => Self::Grace,
            Phase::ByHand => Self::ByHand,
            Phase::Idle => Self::Idle,
            Phase::Disable => Self::Disable,
            Phase::Watch => Self::Watch,
            Phase::Soak => Self::Soak,
            Phase::Delete => Self::Delete,
            Phase::ProveDead => Self::ProveDead,
            Phase::LastLook => Self::LastLook,
            Phase::BackRestore(i) => Self::BackStore(i),
            Phase::BackRollout(i) => Self::BackConsumer(i),
            Phase::BackVerify => Self::BackVerify,
            Phase::BackGrace => Self::BackGrace,
            Phase::BackDelete => Self::BackDelete,
            Phase::BackDead => Self::BackDead,
            Phase::BackEnable => Self::BackEnable,
            Phase::Ended(_) => Self::Ended,
        }
    }
}

impl Step {
    /// What it does, in a few words, as an order: `create a new key`.
    pub fn title(self, plan: &Plan) -> String {
        let store = |i: u8| plan.stores.get(usize::from(i)).map_or_else(|| format!("store {}", i + 1), |store| store.locator.clone());
        match self {
            Self::Create => match &plan.page {
                Some(page) => format!("have a person make a new key at {page}, and hand it over: keyroll provide"),
                None => "create a new key".into(),
            },
            Self::Probe => "try the new key".into(),
            Self::Store(i) => format!("write the new key to {}", store(i)),
            Self::Consumer(i) => match plan.consumers.get(usize::from(i)) {
                Some(consumer) if consumer.job => format!("let the job {} have the new key", consumer.name),
                Some(consumer) => format!("have {} prove the new key", consumer.name),
                None => format!("have consumer {} prove the new key", i + 1),
            },
            Self::Grace => "wait before the old key is touched".into(),
            Self::ByHand => "prove everything again, then a person revokes the old key".into(),
            Self::Idle => "wait until the old key is idle".into(),
            Self::Disable => "prove everything again, then switch the old key off".into(),
            Self::Watch => "watch for complaints".into(),
            Self::Soak => "wait before the old key is deleted".into(),
            Self::Delete if plan.rules.revokes => "prove everything again, then delete the old key".into(),
            Self::Delete => "prove everything again, then have the old key revoked".into(),
            Self::ProveDead => "see the old key refused".into(),
            Self::LastLook => "read the stores once more".into(),
            Self::CleanUp => "delete what is of no use at the provider".into(),
            Self::BackStore(i) => format!("write the old key back to {}", store(i)),
            Self::BackConsumer(i) => match plan.consumers.get(usize::from(i)) {
                Some(consumer) => format!("have {} pick the old key up again", consumer.name),
                None => format!("have consumer {} pick the old key up again", i + 1),
            },
            Self::BackVerify => "have every instance prove the old key".into(),
            Self::BackGrace => "wait before the new key is deleted".into(),
            Self::BackDelete if plan.rules.revokes => "delete the new key".into(),
            Self::BackDelete => "have the new key revoked".into(),
            Self::BackDead => "see the leaked new key refused".into(),
            Self::All => "have every instance prove the new key at once".into(),
            Self::BackEnable => "switch the old key on again".into(),
            Self::Ended => "end".into(),
        }
    }
}

/// What happens next when all goes well; none at the end, and where a person must decide.
pub fn ideal(state: &State) -> Option<Event> {
    Some(match decide(state) {
        Action::Intend(effect) => Event::Intended(effect),
        Action::Do(effect) => Event::Did(effect),
        Action::Look(query) => Event::Saw(query, Answer::Yes),
        Action::Park(pause) => Event::Parked(pause),
        Action::Wait(pause) => Event::Waited(pause),
        Action::Stop if state.held == Some(Why::RevokeByHand) => Event::Asked(Ask::GoOn),
        Action::Stop => return None,
    })
}

/// More than the longest way: 256 stores, 256 consumers and all attempts at a create stay below it.
const FAR: usize = 5_000;

/// Every state from here to the end when all goes well, this one first.
pub fn ahead(from: State) -> Vec<State> {
    let mut way = vec![from];
    let mut state = from;
    while let Some(next) = ideal(&state).and_then(|event| apply(&state, &event).ok())
        && way.len() < FAR
    {
        state = next;
        way.push(state);
    }
    way
}

/// The steps from here to the end when all goes well, the running one first.
pub fn steps(from: State) -> Vec<Step> {
    let mut steps: Vec<Step> = ahead(from).iter().map(|state| Step::from(state.phase)).filter(|step| *step != Step::Ended).collect();
    steps.dedup();
    steps
}
