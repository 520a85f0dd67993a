//! The policies in `docs/permissions`: with them everything works; with one line less, keyroll names that line, and nothing is left
//! half-done.

mod aws;
mod vault;

use crate::network::{
    scene::{Kind, Manner, Ran, Scene},
    toxi::Toxic,
};

/// A scene on a network that is well.
async fn scene(kind: Kind, manner: Manner) -> Scene {
    Scene::new(kind, manner, Toxic::Cut, None, true).await
}

/// A file of `docs/permissions`.
fn shipped(name: &str) -> String {
    let path = format!("{}/docs/permissions/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every verb that a key's life needs, with what the roles together may do. `scene` rotates, `back` goes back.
async fn everything_works(scene: Scene, back: Scene) {
    let playbook = scene.playbook().display().to_string();
    for (words, code) in [
        (vec!["plan"], 0),
        (vec!["run"], 0),
        (vec!["doctor"], 0),
        (vec!["reconcile"], 0),
        (vec!["emergency", "--yes", "--reason", "a test"], 0),
        (vec!["run", "--wait", "1m"], 0),
    ] {
        let ran = scene.keyroll(&[&words[..], &[playbook.as_str()]].concat()).await;
        assert_eq!(ran.code, code, "{words:?}: {}", ran.said);
    }
    scene.assert_sound(false, "a whole life").await;
    let ran = back.run().await;
    assert_eq!(ran.code, 1, "{}", ran.said);
    back.assert_sound(false, "rolled back").await;
}

/// How a run without one permission went.
struct Without {
    ran: Ran,
    /// The store's version and the keys are as they were.
    untouched: bool,
}

async fn run_without(scene: &Scene, words: &[&str]) -> Without {
    let before = (scene.world.stored(&scene.name).await, scene.world.live(&scene.name).await);
    let playbook = scene.playbook().display().to_string();
    let ran = scene.keyroll(&[words, &[playbook.as_str()]].concat()).await;
    let untouched = before == (scene.world.stored(&scene.name).await, scene.world.live(&scene.name).await);
    Without { ran, untouched }
}
