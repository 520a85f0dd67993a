//! The idle gate: whether the old key is out of use, and the new one in use. Pure: all times are counted from the promote.

use std::time::Duration;

use super::words::Answer;

/// When a key was last used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LastUse {
    /// It may have been used until then; no later.
    pub until: Duration,
    /// It was used, and no earlier than this; none: nothing shows that it was.
    pub from: Option<Duration>,
}

/// What the gate asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Idle {
    /// From then on nobody should call with the old key any more, and what the provider tells includes what was before.
    pub settled: Duration,
    /// How long the old key must have been idle.
    pub idle: Duration,
    /// How late the provider tells.
    pub lag: Duration,
}

/// Whether the gate opens. `held`: when a person was last asked; what was before that is answered for.
///
/// # Errors
/// Later or no, and whether that is for the new key.
pub fn idle(old: LastUse, new_used: bool, now: Duration, held: Duration, gate: Idle) -> Result<(), (Answer, bool)> {
    if !new_used {
        let answer = if now < gate.settled + gate.idle { Answer::Later } else { Answer::No };
        return Err((answer, true));
    }
    // After the grace nobody should have called with the old key: then it is no longer a matter of waiting.
    if old.from.is_some_and(|from| from > gate.settled && from >= held) {
        return Err((Answer::No, false));
    }
    if now.saturating_sub(old.until) < gate.idle + gate.lag {
        return Err((Answer::Later, false));
    }
    Ok(())
}

/// When a key was last used, from readings of what it has spent, oldest first. One that is equal to the last shows that nothing was spent
/// after it, as far as the provider knew; one that is not, that something was between the two, at the earliest a lag before the first.
pub fn unchanged(readings: &[(Duration, u64)], lag: Duration) -> LastUse {
    let Some((last, value)) = readings.last() else { return LastUse::default() };
    let same = readings.iter().rev().take_while(|(_, known)| known == value);
    let until = same.last().map_or(*last, |(at, _)| *at);
    let change = readings.windows(2).rfind(|pair| pair[0].1 != pair[1].1);
    LastUse { until, from: change.map(|pair| pair[0].0.saturating_sub(lag)) }
}

/// Whether readings show that a key was used since the promote: what was spent before it may show until the lag is over.
pub fn grown(readings: &[(Duration, u64)], lag: Duration) -> bool {
    readings.windows(2).any(|pair| pair[0].0 >= lag && pair[1].1 > pair[0].1)
}
