//! What other people have to do with a rotation: they are told, they have seen it, they approve it.

use keyroll::sandbox::service::Behaviour;

use super::{
    ends,
    inbox::{GOSSIP, Inbox, Manner, hook, mail, program, secret},
    said,
    stage::Stage,
};

const CANARY: &str = "canary-91c4";

/// The stage, with a playbook that tells in all four ways.
struct Audience {
    stage: Stage,
    hook: Inbox,
    mail: Inbox,
    folder: tempfile::TempDir,
}

impl Audience {
    async fn new(manner: Manner) -> Self {
        let (stage, folder) = (Stage::new().await, tempfile::tempdir().unwrap());
        let ((address, hook), (port, mail)) = (hook(manner).await, mail(manner).await);
        let at = folder.path();
        let notify = format!(
            "notify:\n  - slack: {}\n  - webhook: {{ url: {}, secret: {} }}\n    on: [started, held, rolled_back, done]\n  \
             - email: {{ smtp: \"smtp://127.0.0.1:{port}\", user: u, password: {}, from: k@example.com, to: [a@example.com] }}\n  \
             - exec: {{ command: [\"{}\"] }}\nverify: {{",
            secret(at, "slack", &format!("http://{address}/slack/{CANARY}")),
            secret(at, "webhook", &format!("http://{address}/webhook/{CANARY}")),
            secret(at, "mac", &format!("mac-{CANARY}")),
            secret(at, "password", &format!("password-{CANARY}")),
            program(at, manner),
        );
        stage.edit("verify: {", &notify);
        Self { stage, hook, mail, folder }
    }

    fn run(&self) -> Vec<String> {
        vec!["run".into(), self.stage.playbook().display().to_string()]
    }

    /// What arrived, as the way and the message's first line or event.
    fn told(&self) -> Vec<String> {
        let mut told: Vec<String> = self
            .hook
            .letters()
            .iter()
            .map(|letter| {
                let object: serde_json::Value = serde_json::from_str(&letter.body).unwrap();
                match object["event"].as_str() {
                    Some(event) => format!("webhook {event}"),
                    None => format!("slack {}", object["text"].as_str().unwrap().lines().next().unwrap()),
                }
            })
            .collect();
        told.sort();
        told
    }
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_told_of_the_end_and_no_secret_is_anywhere() {
    let audience = Audience::new(Manner::Takes).await;
    let run = [audience.run(), vec!["--log".into(), "trace".into()]].concat();
    let told = ends(&audience.stage.keyroll(&strs(&run)).await, 0);
    assert!(!told.contains("was not told"), "{told}");
    assert_eq!(audience.told(), ["slack *✓ stage: the key was rotated; the old one is dead*", "webhook done", "webhook started"]);
    let input = std::fs::read_to_string(audience.folder.path().join("told.in")).unwrap();
    assert!(input.contains("\"done\"") && input.contains("old key"), "{input}");
    assert!(told.contains("slack file:"), "the trace shows the message, so its address would have been seen: {told}");
    let journal = std::fs::read(audience.stage.journal()).unwrap();
    for text in [told.as_bytes(), &journal, said(&audience.stage.keyroll(&["show", "stage"]).await).as_bytes()] {
        assert!(!text.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "a secret was shown");
    }
    for letter in audience.hook.letters().iter().chain(&audience.mail.letters()) {
        assert!(audience.stage.secrets().iter().all(|secret| !letter.body.contains(secret.as_str())), "a key went out");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_refuse_or_hang_change_nothing_about_the_rotation() {
    for manner in [Manner::Refuses, Manner::IsSilent] {
        let audience = Audience::new(manner).await;
        let began = std::time::Instant::now();
        let told = ends(&audience.stage.keyroll(&strs(&audience.run())).await, 0);
        assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
        audience.stage.assert_clean("nobody was told").await;
        assert_eq!(told.matches("somebody was not told").count(), 5, "{told}");
        assert!(!told.contains(GOSSIP) && !told.contains(CANARY), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_rotation_is_told_with_its_commands_and_ack_says_who_has_seen_it() {
    let audience = Audience::new(Manner::Takes).await;
    let stage = &audience.stage;
    stage.edit("within: 20s", "on_timeout: hold, within: 3s");
    stage.fleet.behave(1, Behaviour::Stuck);
    let nothing = ends(&stage.keyroll(&["ack"]).await, 2);
    assert!(nothing.contains("no journal"), "{nothing}");
    ends(&stage.keyroll(&strs(&audience.run())).await, 3);
    assert_eq!(audience.told()[1..], ["webhook held", "webhook started"]);
    let slack = audience.hook.letters().iter().find(|letter| letter.path.contains("slack")).unwrap().body.clone();
    assert!(slack.contains("keyroll resume") && slack.contains("keyroll ack") && slack.contains("not every instance"), "{slack}");

    let ack = ends(&stage.keyroll_by("ana", &["ack", "--reason", "on it"]).await, 0);
    assert!(ack.contains("seen by ana") && ack.contains("keyroll resume"), "{ack}");
    let status = ends(&stage.keyroll(&["status"]).await, 0);
    assert!(status.contains("seen by ana"), "{status}");
    let show = ends(&stage.keyroll(&["show"]).await, 0);
    assert!(show.contains("seen by ana") && show.contains("on it"), "{show}");
    let json = ends(&stage.keyroll(&["status", "--output", "json"]).await, 0);
    assert!(json.contains("\"seen_by\":\"ana\""), "{json}");

    // Held again, it is news again: nobody has seen this hold.
    ends(&stage.keyroll(&["resume", "--reason", "once more"]).await, 3);
    assert_eq!(audience.told().iter().filter(|told| *told == "webhook held").count(), 2);
    let status = ends(&stage.keyroll(&["status"]).await, 0);
    assert!(!status.contains("seen by"), "{status}");
    ends(&stage.keyroll(&["rollback"]).await, 1);
    assert!(audience.told().contains(&"webhook rolled_back".to_owned()), "{:?}", audience.told());
    let over = ends(&stage.keyroll(&["ack", "stage"]).await, 2);
    assert!(over.contains("is not held"), "{over}");
}

/// The id that `run` printed.
fn proposal(said: &str) -> String {
    said.split("keyroll approve ").nth(1).unwrap_or_else(|| panic!("{said}")).split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_person_approves_exactly_this_plan_and_once() {
    let stage = Stage::new().await;
    stage.edit("name: stage\n", "name: stage\nrequire_approval: true\n");
    let playbook = stage.playbook().display().to_string();
    let before = stage.secrets();
    let run = ["run", playbook.as_str()];
    let first = ends(&stage.keyroll_by("ana", &run).await, 6);
    let id = proposal(&first);
    assert!(first.contains("What will happen") && first.contains("nothing was changed"), "{first}");
    assert_eq!(stage.secrets(), before);
    let again = ends(&stage.keyroll_by("ana", &run).await, 6);
    assert_eq!(proposal(&again), id, "the same plan is not proposed twice");
    let status = ends(&stage.keyroll(&["status"]).await, 0);
    assert!(status.contains(&format!("keyroll approve {id}")) && status.contains("by ana"), "{status}");

    for alone in [&["approve", &id, "--yes"][..], &["approve", &id, "--yes", "--as", "ana"]] {
        let same = ends(&stage.keyroll_by("ana", alone).await, 2);
        assert!(same.contains("another person") && same.contains("--as NAME"), "{same}");
    }
    let unasked = ends(&stage.keyroll_by("ben", &["approve", &id]).await, 2);
    assert!(unasked.contains("What will happen") && unasked.contains("nothing was approved"), "{unasked}");
    let unknown = ends(&stage.keyroll_by("ben", &["approve", "zzzzzz", "--yes"]).await, 2);
    assert!(unknown.contains(&id), "it says what waits: {unknown}");
    ends(&stage.keyroll_by("ana", &run).await, 6);

    let approved = ends(&stage.keyroll_by("ben", &["approve", &id, "--yes", "--as", "Ben of Security"]).await, 0);
    assert!(approved.contains("What will happen") && approved.contains("keyroll run"), "{approved}");
    let status = ends(&stage.keyroll(&["status"]).await, 0);
    assert!(!status.contains("keyroll approve"), "{status}");
    ends(&stage.keyroll_by("ana", &run).await, 0);
    stage.assert_clean("approved").await;
    let show = ends(&stage.keyroll(&["show", "stage"]).await, 0);
    assert!(show.contains("by ben (as Ben of Security)") && show.contains(&id), "{show}");
    let json = ends(&stage.keyroll(&["show", "stage", "--output", "json"]).await, 0);
    assert!(json.contains(&format!("\"approved\":{{\"id\":\"{id}\",\"by\":\"ben\"")), "{json}");

    // Used: the next rotation needs another word.
    let next = ends(&stage.keyroll_by("ana", &run).await, 6);
    assert_ne!(proposal(&next), id);
    // Several people share one user: both names are written down.
    let shared = ends(&stage.keyroll_by("ana", &["approve", &proposal(&next), "--yes", "--as", "cleo"]).await, 0);
    assert!(shared.contains("approved by ana (as cleo)"), "{shared}");
    let used = ends(&stage.keyroll_by("cleo", &["approve", &id, "--yes"]).await, 2);
    assert!(used.contains("good once"), "{used}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_world_and_a_late_hour_void_an_approval() {
    let stage = Stage::new().await;
    let playbook = stage.playbook().display().to_string();
    let run = ["run", playbook.as_str(), "--require-approval"];
    let id = proposal(&ends(&stage.keyroll_by("ana", &run).await, 6));
    ends(&stage.keyroll_by("ben", &["approve", &id, "--yes"]).await, 0);
    // Somebody writes to the store: the same key, as a new version.
    stage.rewrite();
    stage.fleet_caught_up().await;
    let before = stage.secrets();
    let changed = ends(&stage.keyroll_by("ana", &run).await, 6);
    assert!(changed.contains("the world changed since ben's approval") && changed.contains("version"), "{changed}");
    assert!(changed.contains("--require-approval"), "the next command asks for the word again: {changed}");
    assert_eq!(stage.secrets(), before);
    let newer = proposal(&changed);
    assert_ne!(newer, id);

    // The playbook changes: the plan that waits is no longer the newest.
    stage.edit("within: 20s", "within: 21s");
    let edited = ends(&stage.keyroll_by("ana", &[&run[..], &["--approval-expires", "1ms"]].concat()).await, 6);
    assert!(edited.contains("the playbook is another"), "{edited}");
    let old = ends(&stage.keyroll_by("ben", &["approve", &newer, "--yes"]).await, 2);
    assert!(old.contains("newer plan"), "{old}");
    let late = ends(&stage.keyroll_by("ben", &["approve", &proposal(&edited), "--yes"]).await, 2);
    assert!(late.contains("expired"), "{late}");
    let anew = ends(&stage.keyroll_by("ana", &[&run[..], &["--output", "json"]].concat()).await, 6);
    let object: serde_json::Value = serde_json::from_str(anew.lines().next().unwrap()).unwrap();
    assert!(object["waits_for_approval"]["because"].as_str().unwrap().contains("expired"), "{object}");
    // Without the word it is an ordinary run.
    ends(&stage.keyroll_by("ana", &run[..2]).await, 0);
}
