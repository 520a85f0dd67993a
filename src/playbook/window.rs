//! When risky steps may begin: `Mon-Thu 09:00-16:00 Europe/Berlin`.
//!
//! The wall clock of the zone decides, minute by minute. So where clocks go forward, a time that does not exist is in no
//! window (a window that begins there opens at the change); where they go back, a time that exists twice is in it twice.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, LocalResult, NaiveDate, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::{Fault, words};

/// One or more windows; open where any of them is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window(Vec<Slot>);

/// Some days, from one minute of the day to another, in one zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    /// The days it begins on; Monday is the lowest bit.
    days: u8,
    /// Minutes after midnight.
    from: u16,
    /// Not after `from`: on the next day.
    to: u16,
    zone: Tz,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const EVERY_DAY: u8 = 0x7f;
const MIDNIGHT: u16 = 24 * 60;
/// A week, and another one: a change of the clock may swallow one opening.
const FAR: u64 = 15;
const EXAMPLE: &str = "write for example `Mon-Thu 09:00-16:00 Europe/Berlin`";

impl Window {
    /// Several texts as one window.
    ///
    /// # Errors
    /// The first fault, with the text's place in the list.
    pub fn any<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, (usize, Fault)> {
        let mut slots = Vec::new();
        for (place, text) in texts.into_iter().enumerate() {
            slots.extend(text.parse::<Self>().map_err(|fault| (place, fault))?.0);
        }
        if slots.is_empty() { Err((0, Fault::new("no window").instead(EXAMPLE))) } else { Ok(Self(slots)) }
    }

    /// Whether risky steps may begin at this moment.
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.0.iter().any(|slot| slot.is_open(at))
    }

    /// The first moment from `at` on when it is open; `at` itself where it is. None: not within two weeks.
    pub fn opens(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_open(at) {
            return Some(at);
        }
        self.0.iter().filter_map(|slot| slot.next(at)).min()
    }
}

impl Slot {
    fn is_open(&self, at: DateTime<Utc>) -> bool {
        let local = at.with_timezone(&self.zone);
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or_default();
        let on = |back: u32| self.days >> ((local.weekday().num_days_from_monday() + 7 - back) % 7) & 1 == 1;
        if self.from < self.to {
            on(0) && (self.from..self.to).contains(&minute)
        } else {
            (on(0) && minute >= self.from) || (on(1) && minute < self.to)
        }
    }

    /// It opens at its first minute, or where the clock jumps into it.
    fn next(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = at.with_timezone(&self.zone).date_naive();
        let days = (0..FAR).filter_map(|day| today.checked_add_days(Days::new(day)));
        let starts = days.flat_map(|day| self.starts(day)).filter(|start| *start >= at && self.is_open(*start));
        starts.chain(self.jumps(at).filter(|jump| self.is_open(*jump))).min()
    }

    fn starts(&self, day: NaiveDate) -> Vec<DateTime<Utc>> {
        let Some(local) = day.and_hms_opt(u32::from(self.from) / 60, u32::from(self.from) % 60, 0) else { return Vec::new() };
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(start) => vec![start.to_utc()],
            LocalResult::Ambiguous(first, second) => vec![first.to_utc(), second.to_utc()],
            LocalResult::None => Vec::new(),
        }
    }

    /// The moments from `at` on when the zone's clock is changed.
    fn jumps(&self, at: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let offset = |at: DateTime<Utc>| self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        let day = TimeDelta::days(1);
        (0..FAR.cast_signed()).filter_map(move |count| {
            let mut before = at.checked_add_signed(day * i32::try_from(count).ok()?)?;
            let mut after = before.checked_add_signed(day)?;
            let was = offset(before);
            if offset(after) == was {
                return None;
            }
            while after - before > TimeDelta::seconds(1) {
                let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
                if offset(middle) == was { before = middle } else { after = middle }
            }
            // Changes are at whole seconds.
            DateTime::from_timestamp(after.timestamp(), 0)
        })
    }
}

impl fmt::Display for Window {
    /// A zone stands behind the last of the windows that have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, slot) in self.0.iter().enumerate() {
            f.write_str(if place > 0 { ", " } else { "" })?;
            if slot.days != EVERY_DAY {
                write!(f, "{} ", days(slot.days))?;
            }
            write!(f, "{:02}:{:02}-{:02}:{:02}", slot.from / 60, slot.from % 60, slot.to / 60, slot.to % 60)?;
            if self.0.get(place + 1).is_none_or(|next| next.zone != slot.zone) {
                write!(f, " {}", slot.zone.name())?;
            }
        }
        Ok(())
    }
}

/// `Mon-Thu,Sat`.
fn days(set: u8) -> String {
    let mut runs = Vec::new();
    let mut day = 0;
    while day < 7 {
        let length = (day..7).take_while(|day| set >> day & 1 == 1).count();
        match length {
            0 => {}
            1 => runs.push(DAYS[day].to_owned()),
            _ => runs.push(format!("{}-{}", DAYS[day], DAYS[day + length - 1])),
        }
        day += length.max(1);
    }
    runs.join(",")
}

impl FromStr for Window {
    /// Without a place; never holds the text.
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let mut slots: Vec<(u8, u16, u16, Option<Tz>)> = Vec::new();
        let mut days = 0;
        for piece in text.split(',') {
            let mut words = piece.split_whitespace().peekable();
            while let Some(word) = words.next_if(|word| !word.starts_with(|c: char| c.is_ascii_digit())) {
                days |= day_range(word)?;
            }
            let Some(word) = words.next() else {
                // `Mon,Wed 09:00-16:00`: only days so far.
                if days == 0 {
                    return Err(Fault::new("an empty window").instead(EXAMPLE));
                }
                continue;
            };
            let (from, to) = hours(word)?;
            let zone = words.next().map(zone).transpose()?;
            if words.next().is_some() {
                return Err(Fault::new("words after the zone").instead(format!("separate windows with commas; {EXAMPLE}")));
            }
            slots.push((if days == 0 { EVERY_DAY } else { days }, from, to, zone));
            days = 0;
        }
        if days != 0 {
            return Err(Fault::new("days without hours").instead(EXAMPLE));
        }
        // A zone holds for the windows before it that have none, the last one for those behind it too.
        let mut zone = slots.iter().rev().find_map(|slot| slot.3).unwrap_or(Tz::UTC);
        let mut known: Vec<Slot> = slots
            .into_iter()
            .rev()
            .map(|(days, from, to, own)| {
                zone = own.unwrap_or(zone);
                Slot { days, from, to, zone }
            })
            .collect();
        known.reverse();
        Ok(Self(known))
    }
}

fn day_range(word: &str) -> Result<u8, Fault> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Ok((0..=length).fold(0, |set, more| set | 1 << ((first + more) % 7)))
}

fn day(word: &str) -> Result<usize, Fault> {
    let lower = word.to_lowercase();
    let found = DAYS.iter().zip(LONG).position(|(short, long)| short.eq_ignore_ascii_case(&lower) || long == lower);
    found.ok_or_else(|| {
        let near = words::meant(&lower, LONG).and_then(|near| LONG.iter().position(|long| *long == near));
        let start = LONG.iter().position(|long| lower.len() >= 2 && long.starts_with(&lower));
        let near = start.or(near).or_else(|| lower.get(..3).and_then(|head| LONG.iter().position(|long| long.starts_with(head))));
        Fault::new("an unknown day").instead(match near {
            Some(near) => format!("did you mean `{}`?", DAYS[near]),
            None => format!("days come first, then hours, then the zone: {EXAMPLE}"),
        })
    })
}

fn hours(word: &str) -> Result<(u16, u16), Fault> {
    let wrong = || Fault::new("not a time from and to").instead("write hours and minutes: `09:00-16:00`, or `22:00-04:00` over midnight");
    let (from, to) = word.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    if from == to || from == MIDNIGHT {
        return Err(Fault::new("no time between its beginning and its end").instead("write `00:00-24:00` for a whole day"));
    }
    Ok((from, to))
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let (hour, minute) = (number(hour).filter(|_| hour.len() <= 2)?, number(minute).filter(|_| minute.len() == 2)?);
    (minute < 60 && hour * 60 + minute <= MIDNIGHT).then_some(hour * 60 + minute)
}

fn zone(word: &str) -> Result<Tz, Fault> {
    word.parse().map_err(|_| {
        let lower = word.to_lowercase();
        let city = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let distance = |zone: &&Tz| {
            let name = zone.name().to_lowercase();
            strsim::damerau_levenshtein(&lower, &name).min(strsim::damerau_levenshtein(&lower, &city(&name)))
        };
        let near = TZ_VARIANTS.iter().min_by_key(distance).filter(|zone| word.len() <= 64 && distance(zone) <= (lower.len() / 4).max(1));
        Fault::new("an unknown time zone").instead(match near {
            Some(zone) => format!("did you mean `{}`?", zone.name()),
            None => "write an IANA name, such as `Europe/Berlin` or `UTC`".into(),
        })
    })
}
