//! The protocol, checked: its law, its safety over every reachable state, its ways out, and its table row by row.

mod bounds;
mod explore;
#[path = "../common/figure.rs"]
mod figure;
mod holds;
mod idle;
mod jury;
mod leak;
mod rows;
mod safety;
mod settle;
mod sweep;
mod turns;
mod walks;
mod ways_back;

use keyroll::protocol::{
    Action, Answer, Ask, Effect, End, Event, Kind, Leak, OnTimeout, Pause, Phase, Query, Refusal, Role, Rules, State, Urgency, Why, allows,
    apply, decide,
};

pub const ROLES: [Role; 4] = [Role::Old, Role::New, Role::Stray, Role::Former];
pub const PAUSES: [Pause; 5] = [Pause::Grace, Pause::Idle, Pause::Soak, Pause::Stale, Pause::Revoke];
pub const ANSWERS: [Answer; 7] = [Answer::Yes, Answer::No, Answer::Bad, Answer::Later, Answer::Foreign, Answer::Late, Answer::Moved];
pub const ASKS: [Ask; 4] = [Ask::Rollback, Ask::GoOn, Ask::Amend, Ask::Waive];
pub const LEAKS: [Ask; 6] = [
    Ask::Emergency(Leak::Old, Urgency::ReplaceFast),
    Ask::Emergency(Leak::New, Urgency::ReplaceFast),
    Ask::Emergency(Leak::Both, Urgency::ReplaceFast),
    Ask::Emergency(Leak::Old, Urgency::RevokeFirst),
    Ask::Emergency(Leak::New, Urgency::RevokeFirst),
    Ask::Emergency(Leak::Both, Urgency::RevokeFirst),
];
pub const REFUSALS: [Refusal; 6] =
    [Refusal::Gone, Refusal::Conflict, Refusal::Quota, Refusal::Denied, Refusal::Invalid, Refusal::ValueLost];

/// One store, one consumer, nothing special.
pub const PLAIN: Rules = Rules {
    kind: Kind::Rotate,
    proved: true,
    disables: false,
    asks_use: false,
    replays: false,
    by_person: false,
    revokes: true,
    on_timeout: OnTimeout::Rollback,
    stores: 1,
    consumers: 1,
    attempts: 3,
};

/// Every event over the finite words; places up to `places`.
pub fn all_events(places: u8) -> Vec<Event> {
    let indexes = 0..places;
    let mut effects = vec![Effect::Create, Effect::Disable, Effect::Enable];
    let mut queries = vec![Query::Settle, Query::Live, Query::Watched, Query::Unused];
    for role in ROLES {
        effects.push(Effect::Delete(role));
        effects.extend(indexes.clone().map(|i| Effect::Rollout(role, i)));
        queries.extend([Query::Everyone(role), Query::Stores(role), Query::Dead(role)]);
        queries.extend(indexes.clone().flat_map(|i| [Query::Rolled(role, i), Query::Consumer(role, i)]));
    }
    effects.extend(indexes.clone().flat_map(|i| [Effect::Promote(i), Effect::Restore(i)]));
    queries.extend(indexes.flat_map(|i| [Query::Current(i), Query::Converged(i)]));
    let of_effect = effects.iter().flat_map(|&effect| {
        let refused = REFUSALS.iter().map(move |&why| Event::Refused(effect, why));
        [Event::Intended(effect), Event::Did(effect), Event::Lost(effect)].into_iter().chain(refused)
    });
    let of_query = queries.iter().flat_map(|&query| ANSWERS.iter().map(move |&answer| Event::Saw(query, answer)));
    let of_pause = PAUSES.iter().flat_map(|&pause| [Event::Parked(pause), Event::Waited(pause)]);
    let of_person = ASKS.iter().chain(&LEAKS).map(|&ask| Event::Asked(ask));
    of_effect.chain(of_query).chain(of_pause).chain(of_person).chain([Event::Resumed, Event::Gated]).collect()
}

/// Whether an event answers an action, by its form alone.
pub fn answers(action: Action, event: Event) -> bool {
    match (action, event) {
        (Action::Intend(wanted), Event::Intended(got)) => wanted == got,
        (Action::Do(wanted), Event::Did(got) | Event::Refused(got, _) | Event::Lost(got)) => wanted == got,
        (Action::Look(wanted), Event::Saw(got, _)) => wanted == got,
        (Action::Park(wanted), Event::Parked(got)) | (Action::Wait(wanted), Event::Waited(got)) => wanted == got,
        _ => false,
    }
}

/// What happens in a world without trouble.
pub fn ideal(action: Action) -> Option<Event> {
    match action {
        Action::Intend(effect) => Some(Event::Intended(effect)),
        Action::Do(effect) => Some(Event::Did(effect)),
        Action::Look(query) => Some(Event::Saw(query, Answer::Yes)),
        Action::Park(pause) => Some(Event::Parked(pause)),
        Action::Wait(pause) => Some(Event::Waited(pause)),
        Action::Stop => None,
    }
}

/// Every event that may come next, and what it makes.
pub fn nexts(state: &State) -> Vec<(Event, State)> {
    let mut events = Vec::with_capacity(16);
    match decide(state) {
        Action::Do(effect) => {
            events.extend([Event::Did(effect), Event::Lost(effect)]);
            events.extend(REFUSALS.map(|why| Event::Refused(effect, why)));
        }
        Action::Look(query) => events.extend(ANSWERS.map(|answer| Event::Saw(query, answer))),
        other => events.extend(ideal(other)),
    }
    events.extend(ASKS.map(Event::Asked));
    events.extend([Event::Resumed, Event::Gated]);
    events.into_iter().filter_map(|event| apply(state, &event).ok().map(|next| (event, next))).collect()
}

/// The same, where keys may also be said to have leaked, and the time comes at which they go.
pub fn nexts_with_leaks(state: &State) -> Vec<(Event, State)> {
    let leaks = LEAKS.into_iter().map(Event::Asked).chain([Event::Waited(Pause::Revoke)]);
    let more = leaks.filter_map(|event| apply(state, &event).ok().map(|next| (event, next)));
    nexts(state).into_iter().chain(more).collect()
}

/// A rotation that a test leads through a story.
pub struct Walk {
    pub state: State,
    pub told: Vec<Action>,
}

impl Walk {
    pub fn new(rules: Rules) -> Self {
        Self { state: State::start(rules), told: Vec::new() }
    }

    pub fn next(&self) -> Action {
        decide(&self.state)
    }

    #[track_caller]
    pub fn event(mut self, event: Event) -> Self {
        match apply(&self.state, &event) {
            Ok(next) => self.state = next,
            Err(illegal) => panic!("{illegal}, after {:?}", self.told),
        }
        self
    }

    /// Ideal answers until this is what comes next.
    #[track_caller]
    pub fn until(mut self, wanted: Action) -> Self {
        for _ in 0..200 {
            let action = self.next();
            if action == wanted {
                return self;
            }
            let Some(event) = ideal(action) else { break };
            self.told.push(action);
            self = self.event(event);
        }
        panic!("{wanted:?} never came: {:?} {:?}", self.told, self.state)
    }

    /// The answer to what comes next; it must be this effect that is to be done.
    #[track_caller]
    pub fn lost(self, effect: Effect) -> Self {
        self.until(Action::Do(effect)).event(Event::Lost(effect))
    }

    #[track_caller]
    pub fn refused(self, effect: Effect, why: Refusal) -> Self {
        self.until(Action::Do(effect)).event(Event::Refused(effect, why))
    }

    #[track_caller]
    pub fn saw(self, query: Query, answer: Answer) -> Self {
        self.until(Action::Look(query)).event(Event::Saw(query, answer))
    }

    #[track_caller]
    pub fn resumed(self) -> Self {
        self.event(Event::Resumed)
    }

    #[track_caller]
    pub fn asked(self, ask: Ask) -> Self {
        self.event(Event::Asked(ask))
    }

    /// It stands still for this reason.
    #[track_caller]
    pub fn held(self, why: Why) -> Self {
        assert_eq!((self.state.held, self.next()), (Some(why), Action::Stop), "{:?}", self.told);
        self
    }

    /// Ideal answers to the end; what was done on the way, from here.
    #[track_caller]
    pub fn ends(mut self, end: End) -> Vec<Action> {
        self.told.clear();
        let walk = self.until(Action::Stop);
        assert_eq!((walk.state.phase, walk.state.held), (Phase::Ended(end), None), "{:?}", walk.told);
        walk.told
    }
}

/// The effects among these actions, once each is to be done.
pub fn done(actions: &[Action]) -> Vec<Effect> {
    actions.iter().filter_map(|action| if let Action::Do(effect) = action { Some(*effect) } else { None }).collect()
}

/// Whether a person may go back from here.
pub fn may_go_back(walk: &Walk) -> bool {
    allows(&walk.state, Ask::Rollback)
}
