//! The built keyroll with a bad network between it and everything it talks to: toxiproxy strikes each effect, and what comes of it
//! is looked at. However bad it was: once the network is well, one key of ours is alive, and the store serves it.

pub mod scene;
mod stall;
mod tap;
pub mod toxi;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use scene::{Kind, Manner, Scene, begins};
use tap::Strike;
use toxi::Toxic;

/// How many scenes play at once; most of the time they wait.
const AT_ONCE: usize = 48;
/// No process of a scene may take longer: two calls that hang, what is repeated, and twice the time that a listing needs to be complete.
const DEADLINE: Duration = Duration::from_secs(120);

/// Whose connections suffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    /// The provider's and the store's.
    Servers,
    /// The journal's.
    Journal,
    /// The services'.
    Services,
}

/// One scene.
#[derive(Clone, Copy)]
struct Play {
    kind: Kind,
    victim: Victim,
    /// At which effect; `all`: the network is ill from the beginning.
    effect: &'static str,
    toxic: Toxic,
    /// Until the process has ended; else until the struck connection has.
    lasting: bool,
}

impl Play {
    fn manner(&self) -> Manner {
        match self.effect {
            "restore" | "delete new" | "all, going back" => Manner::Stays,
            "enable" => Manner::NeedsOld,
            _ => Manner::Follows,
        }
    }

    fn story(&self) -> String {
        let lasting = if self.lasting { "lasting " } else { "" };
        format!("{:?}, {:?}: {lasting}{:?} at {}", self.kind, self.victim, self.toxic, self.effect)
    }

    /// Plays it: the exit codes of its processes, and the longest time that one took.
    async fn play(self) -> (Vec<i32>, Duration) {
        let story = self.story();
        let from_the_beginning = self.effect.starts_with("all");
        // A slow journal needs the lease that there is by default; after a break nobody waits for that long.
        let lease = (self.victim == Victim::Journal).then_some(if from_the_beginning { "30" } else { "3" });
        let scene = Scene::new(self.kind, self.manner(), self.toxic, lease, self.victim != Victim::Services).await;
        let on = match self.victim {
            Victim::Services => &scene.consumers,
            Victim::Journal => &scene.journal.as_ref().expect("a journal of its own").proxy,
            Victim::Servers if self.toxic == Toxic::Down && self.kind != Kind::VaultTls => &scene.front,
            Victim::Servers => &scene.back,
        };
        if from_the_beginning {
            on.strike(self.toxic).await;
        } else {
            // The promote is the first write.
            let skip = usize::from(self.effect == "restore");
            // The tap heals what itself has struck.
            let lasting = self.lasting || self.victim != Victim::Servers;
            scene.tap.arm(Strike { at: begins(self.kind, self.effect), skip, on: on.clone(), toxic: self.toxic, lasting });
        }
        let mut ran = scene.run().await;
        let (mut codes, mut longest) = (vec![ran.code], ran.took);
        assert!(ran.took < DEADLINE, "{story}: {:?}: {}", ran.took, ran.said);
        assert!(from_the_beginning || scene.tap.seen().0 == 1, "{story}: it was not struck: {}", ran.said);
        on.heal(self.toxic).await;
        let late = Instant::now() + DEADLINE;
        while Instant::now() < late {
            ran = match ran.code {
                // The network has nothing more to do with it.
                3 if codes.ends_with(&[3, 3]) => break,
                3 => scene.keyroll(&["resume", "--reason", "the network is well again"]).await,
                // Nothing was begun.
                2 if codes.ends_with(&[5, 2]) => scene.run().await,
                4..=6 => scene.keyroll(&["resume"]).await,
                _ => break,
            };
            longest = longest.max(ran.took);
            assert!(ran.took < DEADLINE, "{story}: {:?}: {}", ran.took, ran.said);
            // A lease of a process that could not give it back lapses: many tries are one.
            if (codes.last(), ran.code) != (Some(&4), 4) {
                codes.push(ran.code);
            }
        }
        let expected: &[i32] = match (self.manner(), self.victim) {
            (Manner::Follows, Victim::Services) => &[0, 1],
            (Manner::Follows, _) => &[0],
            (Manner::Stays, _) => &[1],
            (Manner::NeedsOld, _) => &[3],
        };
        let story = format!("{story}: {codes:?}: {}", ran.said);
        assert!(expected.contains(&ran.code), "{story}");
        scene.assert_sound(ran.code == 3, &story).await;
        (codes, longest)
    }
}

/// Plays all of them, many at a time, and prints what came of each effect under each toxic.
async fn matrix(plays: Vec<Play>) {
    let (began, turns) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)));
    let count = plays.len();
    let played = plays.into_iter().map(|play| {
        let turns = turns.clone();
        tokio::spawn(async move {
            let _turn = turns.acquire().await.expect("open");
            (play, play.play().await)
        })
    });
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut failed, mut ends) = (0, BTreeMap::<&str, usize>::new());
    for played in join_all(played).await {
        let Ok((play, (codes, longest))) = played else {
            failed += 1;
            continue;
        };
        let words: Vec<&str> = codes.iter().map(|code| end(*code)).collect();
        let lasting = if play.lasting { " lasting" } else { "" };
        let cell = format!("{:?}{lasting}: {} ({:.1} s)", play.toxic, words.join(", then "), longest.as_secs_f32());
        rows.entry(format!("{:?} · {:?} · {}", play.kind, play.victim, play.effect)).or_default().push(cell);
        *ends.entry(words.last().copied().unwrap_or_default()).or_default() += 1;
    }
    println!("{count} scenes in {:.0} s: {ends:?}", began.elapsed().as_secs_f32());
    for (row, cells) in rows {
        println!("{row}\n    {}", cells.join("\n    "));
    }
    assert_eq!(failed, 0, "so many of {count} scenes failed");
}

/// What a process ended with, in the words of the documentation.
fn end(code: i32) -> &'static str {
    match code {
        0 => "done",
        1 => "rolled back",
        2 => "nothing begun",
        3 => "held",
        4 => "busy",
        5 => "stopped",
        6 => "parked",
        _ => "?",
    }
}

fn each(kind: Kind, victim: Victim, effects: &[&'static str], toxics: &[(Toxic, bool)]) -> Vec<Play> {
    let all = |effect: &&'static str| toxics.iter().map(|(toxic, lasting)| (*effect, *toxic, *lasting)).collect::<Vec<_>>();
    effects.iter().flat_map(all).map(|(effect, toxic, lasting)| Play { kind, victim, effect, toxic, lasting }).collect()
}

/// What breaks a call, once or until somebody mends the network.
const BREAKS: &[(Toxic, bool)] = &[
    (Toxic::Cut, false),
    (Toxic::Reset, false),
    (Toxic::Reset, true),
    (Toxic::Torn, false),
    (Toxic::Silent, false),
    (Toxic::Silent, true),
    (Toxic::Deaf, false),
    (Toxic::Trickle, false),
    (Toxic::Down, true),
];
/// The same for what costs more to play.
const FEWER: &[(Toxic, bool)] = &[(Toxic::Reset, false), (Toxic::Silent, false), (Toxic::Deaf, false), (Toxic::Down, true)];
const LASTING: &[(Toxic, bool)] =
    &[(Toxic::Reset, true), (Toxic::Silent, true), (Toxic::Deaf, true), (Toxic::Trickle, true), (Toxic::Down, true)];
/// What only makes everything slow.
const SLOW: &[(Toxic, bool)] = &[(Toxic::Late, true), (Toxic::Slow, true), (Toxic::Sliced, true)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_under_every_toxic_ends_well() {
    use Victim::{Journal, Servers, Services};
    let cuts: Vec<_> = [5, 600, 1100, 1500, 2500, 4000, 8000, 16_000, 32_000].into_iter().map(|bytes| (Toxic::Cuts(bytes), true)).collect();
    let plays = [
        each(Kind::OpenAi, Servers, &["create", "delete", "delete new"], BREAKS),
        each(Kind::Aws, Servers, &["create", "put", "promote", "disable", "enable", "delete", "restore", "delete new"], FEWER),
        each(Kind::Vault, Servers, &["create", "promote", "delete", "restore", "delete new"], BREAKS),
        each(Kind::Rollout, Servers, &["rollout"], BREAKS),
        each(Kind::Vault, Journal, &["create", "promote", "delete"], LASTING),
        each(Kind::Vault, Services, &["promote"], LASTING),
        each(Kind::VaultTls, Servers, &["all"], &cuts),
        each(Kind::VaultTls, Servers, &["all"], &[(Toxic::Silent, true), (Toxic::Reset, true), (Toxic::Down, true)]),
        each(Kind::Vault, Journal, &["all"], SLOW),
        each(Kind::VaultTls, Servers, &["all"], SLOW),
        each(Kind::OpenAi, Servers, &["all"], SLOW),
        each(Kind::Aws, Servers, &["all"], SLOW),
        each(Kind::Vault, Servers, &["all", "all, going back"], SLOW),
    ];
    tokio::join!(matrix(plays.concat()), stall::opening_never_hangs());
}
