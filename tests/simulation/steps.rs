//! What a rotation is at, in the words of the coverage: its way, and the effect, reading or wait that comes next.

use keyroll::protocol::{Action, Effect, Event, Pause, Phase, Query, Role, State, decide};

/// Where it is going.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// To the new key.
    Ahead,
    /// To the old key, or out before anything was written.
    Back,
    /// Keys leaked.
    Leak,
}

impl Way {
    pub fn of(state: &State) -> Self {
        match state {
            state if state.emergency() => Self::Leak,
            state if state.going_back() => Self::Back,
            _ => Self::Ahead,
        }
    }
}

/// The step that comes next.
pub fn step(state: &State) -> &'static str {
    match decide(state) {
        Action::Intend(effect) | Action::Do(effect) => effect_word(effect, state.phase),
        Action::Look(query) => query_word(query, state.phase),
        Action::Park(pause) | Action::Wait(pause) => pause_word(pause),
        Action::Stop => "stop",
    }
}

fn effect_word(effect: Effect, phase: Phase) -> &'static str {
    match effect {
        Effect::Create => "create",
        Effect::Promote(_) => "promote",
        Effect::Restore(_) if phase == Phase::Fence => "fence",
        Effect::Restore(_) => "restore",
        Effect::Rollout(Role::Old, _) => "rollout old",
        Effect::Rollout(..) => "rollout new",
        Effect::Disable => "disable",
        Effect::Enable => "enable",
        Effect::Delete(Role::Old) => "delete old",
        Effect::Delete(Role::New) if phase == Phase::Discard => "discard new",
        Effect::Delete(Role::New) => "delete new",
        Effect::Delete(Role::Stray) => "delete stray",
        Effect::Delete(Role::Former) => "delete former",
    }
}

fn query_word(query: Query, phase: Phase) -> &'static str {
    match query {
        Query::Settle if matches!(phase, Phase::Sweep(_)) => "sweep",
        Query::Settle => "settle",
        Query::Live => "live",
        Query::Current(_) if phase == Phase::Fence => "fenced",
        Query::Current(_) if matches!(phase, Phase::BackRestore(_)) => "restored",
        Query::Current(_) => "promoted",
        Query::Converged(_) => "converged",
        Query::Rolled(Role::Old, _) => "rolled old",
        Query::Rolled(..) => "rolled new",
        Query::Consumer(..) => "consumer",
        Query::Everyone(Role::Old) => "everyone old",
        Query::Everyone(_) => "everyone new",
        Query::Stores(Role::Old) => "stores old",
        Query::Stores(_) => "stores new",
        Query::Watched => "watched",
        Query::Unused => "unused",
        Query::Dead(Role::New) => "dead new",
        Query::Dead(_) => "dead old",
    }
}

fn pause_word(pause: Pause) -> &'static str {
    match pause {
        Pause::Grace => "grace",
        Pause::Idle => "idle",
        Pause::Soak => "soak",
        Pause::Stale => "stale",
        Pause::Revoke => "revoke",
    }
}

/// A record's kind, in the same words.
pub fn record(event: Event, phase: Phase) -> String {
    match event {
        Event::Planned => "planned".into(),
        Event::Intended(effect) => format!("intended {}", effect_word(effect, phase)),
        Event::Did(effect) => format!("did {}", effect_word(effect, phase)),
        Event::Refused(effect, _) => format!("refused {}", effect_word(effect, phase)),
        Event::Lost(effect) => format!("lost {}", effect_word(effect, phase)),
        Event::Saw(query, _) => format!("saw {}", query_word(query, phase)),
        Event::Parked(pause) => format!("parked {}", pause_word(pause)),
        Event::Waited(pause) => format!("waited {}", pause_word(pause)),
        Event::Gated => "gated".into(),
        Event::Asked(_) => "asked".into(),
        Event::Resumed => "resumed".into(),
    }
}
