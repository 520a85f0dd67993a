//! Every mode × every state, and what is down.

use std::process::Stdio;

use keyroll::sandbox::service::Behaviour;

use crate::scene::{Scene, Situation, expect};

const SITUATIONS: [Situation; 5] =
    [Situation::Nothing, Situation::BeforePromote, Situation::Grace, Situation::Held, Situation::RollingBack];
const MODES: [&str; 2] = ["replace-fast", "revoke-first"];

/// The old key leaked, everything works: it is revoked, seen dead, and everybody has another one.
async fn the_old_key_leaked(mode: &str) {
    for situation in SITUATIONS {
        let story = format!("{mode}, {situation:?}");
        let scene = Scene::set(situation).await;
        let said = expect(&scene.emergency(&["--mode", mode, "--leaked", "current", "--yes"]).await, 0);
        assert!(said.contains("CONTAINED: the provider refuses"), "{story}: {said}");
        assert!(said.find("BREAK") < said.find("declared an emergency"), "{story}: it says what breaks before it begins: {said}");
        assert!(!scene.lives(&scene.old).await, "{story}: the leaked key is revoked");
        scene.stage.assert_clean(&story).await;
        for secret in scene.stage.secrets() {
            assert!(!said.contains(&secret), "{story}: a secret is shown");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replace_fast_from_every_state() {
    the_old_key_leaked("replace-fast").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoke_first_from_every_state() {
    the_old_key_leaked("revoke-first").await;
}

/// The new key leaked: it is never served again, and the services go back to the old one where they had left it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_that_leaked_is_never_served_again() {
    for mode in MODES {
        for situation in [Situation::BeforePromote, Situation::Grace, Situation::Held, Situation::RollingBack] {
            let story = format!("{mode}, {situation:?}, the new key leaked");
            let scene = Scene::set(situation).await;
            let leaked = scene.new.clone().unwrap();
            let before = situation == Situation::BeforePromote;
            let said = expect(&scene.emergency(&["--mode", mode, "--leaked", "new", "--yes"]).await, i32::from(!before));
            assert!(!scene.lives(&leaked).await, "{story}: {said}");
            assert_eq!(scene.lives(&scene.old).await, !before, "{story}: {said}");
            assert_eq!(said.contains("CONTAINED: the provider refuses"), !before, "{story}: {said}");
            scene.stage.assert_clean(&story).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_both_leaked_both_go() {
    for mode in MODES {
        for situation in [Situation::Grace, Situation::Held, Situation::RollingBack] {
            let story = format!("{mode}, {situation:?}, both leaked");
            let scene = Scene::set(situation).await;
            let said = expect(&scene.emergency(&["--mode", mode, "--leaked", "all", "--yes"]).await, 0);
            assert!(said.contains("CONTAINED"), "{story}: {said}");
            assert!(!scene.lives(&scene.old).await && !scene.lives(scene.new.as_ref().unwrap()).await, "{story}: {said}");
            scene.stage.assert_clean(&story).await;
        }
    }
}

/// The store is down: the leaked key goes first, or at its time; or nothing is done and both commands are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_the_leaked_key_still_goes() {
    for situation in SITUATIONS {
        for (way, args) in [("first", vec!["--mode", "revoke-first"]), ("at its time", vec!["--store-down", "wait", "--revoke-at", "2s"])] {
            let story = format!("{way}, {situation:?}, no store");
            let scene = Scene::set(situation).await;
            scene.store.down().await;
            if situation == Situation::Nothing {
                // The journal never saw this key, and the store does not answer: its id is a person's word.
                let said = expect(&scene.emergency(&[&args[..], &["--yes"]].concat()).await, 5);
                assert!(said.contains("--leaked ID") && said.contains("--print"), "{story}: {said}");
            }
            let who = if situation == Situation::Nothing { scene.old.as_str() } else { "current" };
            let said = expect(&scene.emergency(&[&args[..], &["--leaked", who, "--yes"]].concat()).await, 5);
            assert!(!scene.lives(&scene.old).await, "{story}: {said}");
            assert!(!said.contains("CONTAINED: the provider refuses"), "{story}: nothing has proved that yet: {said}");
            assert!(said.contains("next: keyroll resume"), "{story}: {said}");
            scene.store.up().await;
            let said = expect(&scene.stage.keyroll(&["resume", "stage"]).await, 0);
            assert!(said.contains("CONTAINED: the provider refuses"), "{story}: {said}");
            scene.stage.assert_clean(&story).await;
        }
        let story = format!("nothing said, {situation:?}, no store");
        let scene = Scene::set(situation).await;
        scene.store.down().await;
        let who = if situation == Situation::Nothing { scene.old.as_str() } else { "current" };
        let said = expect(&scene.emergency(&["--leaked", who, "--yes"]).await, 5);
        assert!(said.contains("--mode revoke-first") && said.contains("--store-down wait"), "{story}: {said}");
        assert!(said.contains("NOTHING WAS CHANGED"), "{story}: {said}");
        assert!(scene.lives(&scene.old).await, "{story}");
    }
}

/// Somebody is not off the leaked key at its time: it goes all the same, and they are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_its_time_the_leaked_key_goes_and_who_still_uses_it_is_named() {
    let scene = Scene::set(Situation::Nothing).await;
    scene.stage.edit("within: 20s,", "within: 600ms,");
    scene.stage.fleet.behave(1, Behaviour::Stuck);
    let said = expect(&scene.emergency(&["--revoke-at", "3s", "--yes"]).await, 3);
    assert!(!scene.lives(&scene.old).await, "{said}");
    assert!(said.contains("Not verified when it was revoked") && said.contains("still on the old key"), "{said}");
    assert!(said.contains("CONTAINED: the provider refuses"), "it is dead, whoever is not off it: {said}");
    scene.stage.fleet.behave(1, Behaviour::Normal);
    expect(&scene.stage.keyroll(&["resume", "stage", "--reason", "it was restarted"]).await, 0);
    scene.stage.assert_clean("after the restart").await;
}

/// Another process drives the rotation: it takes the emergency over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_rotation_takes_the_emergency_over() {
    let scene = Scene::set(Situation::Nothing).await;
    scene.stage.edit("grace: 0s", "grace: 10m");
    let playbook = scene.stage.playbook();
    let mut running = scene.stage.start(&["run", playbook.to_str().unwrap(), "--output", "json"]);
    scene.stage.until_promoted(&mut running).await;
    let said = expect(&scene.emergency(&["--leaked", "current", "--yes"]).await, 0);
    assert!(said.contains("being driven by another keyroll"), "{said}");
    assert!(running.wait().await.unwrap().success());
    assert!(!scene.lives(&scene.old).await, "{said}");
    scene.stage.assert_clean("taken over while it ran").await;
}

/// Commands for a person's own hands: run as they are written, they do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_prints_holds_no_secret_and_changes_nothing() {
    let scene = Scene::set(Situation::Grace).await;
    let said = expect(&scene.emergency(&["--print"]).await, 0);
    let keys = [scene.old.clone()];
    assert!(said.contains(&format!("secret_id_accessor={}", keys[0])), "{said}");
    for secret in scene.stage.secrets() {
        assert!(!said.contains(&secret), "a secret is shown");
    }
    assert_eq!(scene.stage.accessors().await.len(), 2, "nothing was changed");
    let shell = std::process::Command::new("sh").arg("-n").arg("-c").arg(&said).output().unwrap();
    assert!(shell.status.success(), "a shell reads it: {}", String::from_utf8_lossy(&shell.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_nothing_is_done() {
    let scene = Scene::set(Situation::Nothing).await;
    let said = expect(&scene.emergency(&[]).await, 2);
    assert!(said.contains("WILL BREAK") || said.contains("MAY BREAK"), "{said}");
    assert!(said.contains("not confirmed; nothing was changed, and the leaked key still works"), "{said}");
    let said = expect(&scene.emergency(&["--leaked", "new", "--yes"]).await, 2);
    assert!(said.contains("no rotation of this key is open"), "{said}");
    let said = expect(&scene.emergency(&["--leaked", "somebody-elses", "--yes"]).await, 2);
    assert!(said.contains("the stores hold key"), "{said}");
    assert!(scene.lives(&scene.old).await);
}

/// The journal cannot be written: a fallback records the emergency, and the journal takes it in when it answers again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_journal_a_fallback_records_it_and_is_taken_in() {
    for mode in MODES {
        let story = format!("{mode}, no journal");
        let scene = Scene::set(Situation::Nothing).await;
        expect(&scene.stage.keyroll(&["run", scene.stage.playbook().to_str().unwrap(), "--yes"]).await, 0);
        let leaked = scene.stage.accessors().await.pop().unwrap();
        scene.journal_down(true);
        let said = expect(&scene.emergency(&["--mode", mode, "--yes"]).await, 0);
        assert!(said.contains("is open to other users") && said.contains("this emergency is recorded in"), "{story}: {said}");
        assert!(said.contains("CONTAINED") && !scene.lives(&leaked).await, "{story}: {said}");
        scene.stage.assert_clean(&story).await;
        scene.journal_down(false);
        // Its marks are this journal's now: the next rotation does not take them for another machine's.
        let said = expect(&scene.stage.keyroll(&["run", scene.stage.playbook().to_str().unwrap(), "--yes"]).await, 0);
        assert!(said.contains("1 emergency rotation(s)"), "{story}: {said}");
        let said = expect(&scene.stage.keyroll(&["history"]).await, 0);
        assert_eq!(said.matches("stage").count(), 3, "{story}: {said}");
        expect(&scene.stage.keyroll(&["audit", "verify"]).await, 0);
        scene.stage.assert_clean(&story).await;
    }
}

/// Neither journal nor store: by an exact id the key goes first; what remains is said, and goes on from the fallback.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_journal_and_store_the_leaked_key_goes_by_its_id() {
    let scene = Scene::set(Situation::Nothing).await;
    std::fs::write(scene.stage.journal(), "").unwrap();
    scene.journal_down(true);
    scene.store.down().await;
    let said = expect(&scene.emergency(&["--mode", "revoke-first", "--leaked", &scene.old, "--yes"]).await, 5);
    assert!(!scene.lives(&scene.old).await, "{said}");
    let resume = said.lines().find(|line| line.contains("next: keyroll") && line.contains("resume")).unwrap_or_default();
    assert!(resume.contains("--journal"), "it names the journal that knows: {said}");
    scene.store.up().await;
    let words: Vec<&str> = resume.split_once("keyroll ").unwrap().1.split("  #").next().unwrap().split_whitespace().collect();
    let said = expect(&scene.stage.keyroll(&words).await, 0);
    assert!(said.contains("CONTAINED"), "{said}");
    scene.stage.assert_clean("resumed from the fallback").await;
}

/// Without the journal, in every state and mode, with and without the store: the leaked key goes, or the command says exactly
/// why not and what to type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_journal_the_key_goes_or_it_is_said_why_not() {
    let (mut gone, mut said_why) = (0, 0);
    for situation in SITUATIONS {
        for mode in MODES {
            for store_down in [false, true] {
                let story = format!("{mode}, {situation:?}, no journal, store down: {store_down}");
                let scene = Scene::set(situation).await;
                if situation == Situation::Nothing {
                    std::fs::write(scene.stage.journal(), "").unwrap();
                }
                scene.journal_down(true);
                if store_down {
                    scene.store.down().await;
                }
                let args = ["--mode", mode, "--leaked", &scene.old, "--store-down", "wait", "--revoke-at", "2s", "--yes"];
                let output = scene.emergency(&args).await;
                let said = expect(&output, output.status.code().unwrap());
                if scene.lives(&scene.old).await {
                    // The stores hold the new key of a rotation that only the journal knows: nothing is guessed.
                    assert!(said.contains("the stores hold key") && said.contains("--print"), "{story}: {said}");
                    assert!(said.contains("an open rotation that only the journal knows of is not seen now"), "{story}: {said}");
                    assert_eq!(output.status.code(), Some(2), "{story}: {said}");
                    said_why += 1;
                } else {
                    assert_eq!(output.status.code(), Some(if store_down { 5 } else { 0 }), "{story}: {said}");
                    assert_eq!(said.contains("CONTAINED: the provider refuses"), !store_down, "{story}: {said}");
                    gone += 1;
                }
            }
        }
    }
    assert_eq!((gone, said_why), (16, 4), "only Grace and Held have the new key in the store");
}

/// Services use both keys of an open rotation: a slip would delete the good one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_both_keys_are_in_use_the_leaked_one_must_be_named() {
    for situation in [Situation::Grace, Situation::Held, Situation::RollingBack] {
        let scene = Scene::set(situation).await;
        let said = expect(&scene.emergency(&["--mode", "revoke-first", "--yes"]).await, 2);
        let (old, new) = (&scene.old, scene.new.as_ref().unwrap());
        assert!(said.contains(&format!("--leaked current    # {old}")), "{situation:?}: {said}");
        assert!(said.contains(&format!("--leaked new        # {new}")), "{situation:?}: {said}");
        assert!(scene.lives(old).await && scene.lives(new).await, "{situation:?}: nothing was changed");
    }
}

/// A suggested command means the same key as the one that was typed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suggested_commands_name_the_key_that_was_named() {
    let scene = Scene::set(Situation::Grace).await;
    scene.store.down().await;
    let said = expect(&scene.emergency(&["--leaked", "new", "--since", "2h", "--yes"]).await, 5);
    for line in said.lines().filter(|line| line.contains("next: keyroll emergency")) {
        assert!(line.contains("--leaked new") && line.contains("--since 2h"), "{line}");
    }
    assert_eq!(said.matches("next: keyroll emergency").count(), 2, "{said}");
}

/// A key that an emergency replaced goes in any case; one of them alone cannot be called sooner, and it is said what can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_given_up_is_known_as_such() {
    let scene = Scene::set(Situation::Grace).await;
    let new = scene.new.clone().unwrap();
    scene.store.down().await;
    let playbook = scene.stage.playbook();
    let words =
        ["emergency", playbook.to_str().unwrap(), "--reason", "seen", "--leaked", "all", "--store-down", "wait", "--revoke-at", "1h"];
    let mut first = scene.stage.command(&[&words[..], &["--yes"]].concat()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while scene.stage.accessors().await.len() < 3 {
        tokio::task::yield_now().await;
    }
    first.kill().await.unwrap();
    let said = expect(&scene.emergency(&["--leaked", &new, "--yes"]).await, 2);
    assert!(said.contains(&format!("key {new} was given up by rotation")) && said.contains("delete it by hand"), "{said}");
    assert!(said.contains(&format!("--print --leaked {new}")), "{said}");
    let said = expect(&scene.emergency(&["--print", "--leaked", &new]).await, 0);
    assert!(said.contains(&new), "{said}");
}

/// What the journal last knew is no person's word: a key that somebody replaced by hand since is not taken for the leaked one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_replaced_by_hand_is_the_one_in_use() {
    for mode in MODES {
        let scene = Scene::set(Situation::Nothing).await;
        expect(&scene.stage.keyroll(&["run", scene.stage.playbook().to_str().unwrap(), "--yes"]).await, 0);
        let journaled = scene.stage.accessors().await.pop().unwrap();
        let by_hand = scene.replaced_by_hand().await;
        let said = expect(&scene.emergency(&["--mode", mode, "--yes"]).await, 0);
        assert!(!scene.lives(&by_hand).await, "{mode}: the key in use leaked: {said}");
        assert!(scene.lives(&journaled).await, "{mode}: nobody said anything of the other one: {said}");
    }
}

/// Where neither the journal nor a fallback can be had, the commands for a person's own hands still can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_hand_needs_no_journal() {
    let scene = Scene::set(Situation::Nothing).await;
    std::fs::write(scene.stage.journal(), "").unwrap();
    scene.journal_down(true);
    let said = expect(&scene.emergency(&["--print"]).await, 0);
    assert!(said.contains("LEAKED_KEY_ID") && said.contains("vault write"), "{said}");
    let left: Vec<_> =
        std::fs::read_dir(scene.stage.journal().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "keyroll"), "it wrote a fallback: {left:?}");
}
