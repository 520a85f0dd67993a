//! A moment as people type it: `18:00`, `tomorrow 09:30`, `2026-11-21`, `2026-11-21 18:00`, RFC 3339, or a length like `3h`.
//!
//! What has no zone is in this machine's.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};

use crate::playbook::Span;

/// Whether a length counts from now on or back, and which of two days a bare time means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `3h` is three hours ago, `18:00` the last one.
    Back,
    /// `3h` is in three hours, `18:00` the next one.
    On,
}

/// Reads a moment; the error says which forms there are.
pub fn parse<Z: TimeZone>(text: &str, now: &DateTime<Z>, way: Way) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let wrong = || {
        format!("`{text}` is no time: write for example `18:00`, `tomorrow 09:30`, `2026-11-21 18:00`, `2026-11-21T18:00:00+01:00` or `3h`")
    };
    if text.is_empty() {
        return Err(wrong());
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(Span(length)) = text.parse::<Span>() {
        let length = TimeDelta::from_std(length).map_err(|_| wrong())?;
        let at = if way == Way::On { now.clone().checked_add_signed(length) } else { now.clone().checked_sub_signed(length) };
        return at.map(|at| at.to_utc()).ok_or_else(wrong);
    }
    let local = |naive: NaiveDateTime| {
        // The hour that a change of clocks leaves out does not exist; the one it repeats means its first pass.
        let at = now.timezone().from_local_datetime(&naive).earliest();
        at.map(|at| at.to_utc()).ok_or_else(|| format!("there is no {naive} in this time zone: the clocks change then"))
    };
    let today = now.date_naive();
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) => (day, time.trim()),
        None if text.contains(':') => ("", text),
        None => (text, "00:00"),
    };
    let time = ["%H:%M", "%H:%M:%S"].iter().find_map(|form| NaiveTime::parse_from_str(time, form).ok()).ok_or_else(wrong)?;
    let date = match day {
        "today" => Some(today),
        "tomorrow" => today.checked_add_days(Days::new(1)),
        "yesterday" => today.checked_sub_days(Days::new(1)),
        "" => {
            let here = local(today.and_time(time))?;
            match way {
                Way::On if here <= now.to_utc() => today.checked_add_days(Days::new(1)),
                Way::Back if here > now.to_utc() => today.checked_sub_days(Days::new(1)),
                _ => Some(today),
            }
        }
        date => NaiveDate::parse_from_str(date, "%Y-%m-%d").ok(),
    };
    local(date.ok_or_else(wrong)?.and_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    /// 2026-11-21 15:00 at UTC+1.
    fn now() -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339("2026-11-21T15:00:00+01:00").unwrap_or_default()
    }

    #[test]
    fn every_form_means_one_moment() {
        for (text, way, means) in [
            ("18:00", Way::On, "2026-11-21T17:00:00Z"),
            ("14:59", Way::On, "2026-11-22T13:59:00Z"),
            ("15:00", Way::On, "2026-11-22T14:00:00Z"),
            ("18:00", Way::Back, "2026-11-20T17:00:00Z"),
            ("14:00:30", Way::Back, "2026-11-21T13:00:30Z"),
            ("today 14:00", Way::On, "2026-11-21T13:00:00Z"),
            ("tomorrow 09:30", Way::On, "2026-11-22T08:30:00Z"),
            ("yesterday", Way::Back, "2026-11-19T23:00:00Z"),
            ("yesterday 09:30", Way::Back, "2026-11-20T08:30:00Z"),
            ("2026-12-01", Way::On, "2026-11-30T23:00:00Z"),
            ("2026-12-01 08:00", Way::On, "2026-12-01T07:00:00Z"),
            ("2026-12-01T08:00:00Z", Way::Back, "2026-12-01T08:00:00Z"),
            ("3h", Way::On, "2026-11-21T17:00:00Z"),
            ("1d12h", Way::Back, "2026-11-20T02:00:00Z"),
        ] {
            let at = parse(text, &now(), way).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
            assert_eq!(at.as_deref(), Ok(means), "{text}");
        }
    }

    #[test]
    fn anything_else_says_which_forms_there_are() {
        for text in ["", "6pm", "25:00", "someday", "2026-13-01", "soon 18:00", "18:00 tomorrow", "-3h", "99999999999999d"] {
            assert!(parse(text, &now(), Way::On).is_err_and(|why| why.contains("18:00`")), "{text}");
        }
    }
}
