//! Where processes die, and what must be true afterwards.

use std::{os::unix::process::ExitStatusExt as _, process::Output, time::Duration};

use keyroll::{ids::RotationId, protocol::End, rotation::Rotation};

use super::{Child, Point};

/// A provider, a store, a service and a journal of their own.
#[async_trait::async_trait]
pub trait Ground: Send + Sync {
    /// The process that dies here.
    fn child(&self) -> Child;
    /// The built keyroll, on the same journal.
    async fn keyroll(&self, args: &[&str]) -> Output;
    /// Every rotation of this journal, newest first.
    async fn rotations(&self) -> Vec<Rotation>;
    /// Exactly one key of ours is alive, the store serves it, and every instance works with it.
    async fn assert_clean(&self, story: &str);
}

/// One process dies at the first point, the next one at the second, and so on; the built keyroll makes an end of it. None: the
/// first process passed its point by.
pub async fn killed(ground: &dyn Ground, points: &[Point]) -> Option<Rotation> {
    let story = points.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ");
    for (place, point) in points.iter().enumerate() {
        let status = ground.child().dies(point).await;
        if status.success() {
            // Its run went another way, or was over before it: what is left of the points has nobody to hit.
            return if place == 0 { None } else { ended(ground, &story).await };
        }
        assert_eq!(status.signal(), Some(9), "{story}: the child was killed, and did not fail");
    }
    ended(ground, &story).await
}

/// Resumes what is open until it is over, verifies the chain, and looks at what is there.
pub async fn ended(ground: &dyn Ground, story: &str) -> Option<Rotation> {
    if ground.rotations().await.is_empty() {
        ground.assert_clean(&format!("{story}, before anything began")).await;
        let output = ground.keyroll(&["run", "--yes", &ground.child().playbook.display().to_string()]).await;
        assert_eq!(output.status.code(), Some(0), "{story}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let late = tokio::time::Instant::now() + Duration::from_secs(240);
    let rotation = loop {
        let rotation = ground.rotations().await.remove(0);
        if rotation.state.ended().is_some() {
            break rotation;
        }
        assert!(tokio::time::Instant::now() < late, "{story}: never over");
        resumed(ground, &rotation.id, story).await;
    };
    let output = ground.keyroll(&["audit", "verify"]).await;
    assert_eq!(output.status.code(), Some(0), "{story}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rotation.state.ended(), Some(End::Done), "{story}: a killed rotation of healthy services still ends done");
    ground.assert_clean(story).await;
    Some(rotation)
}

async fn resumed(ground: &dyn Ground, id: &RotationId, story: &str) {
    let output = ground.keyroll(&["resume", id.as_str()]).await;
    match output.status.code() {
        Some(0) => {}
        // The dead process's lease has not lapsed yet.
        Some(4) => tokio::time::sleep(Duration::from_millis(100)).await,
        code => panic!("{story}: {code:?}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// Does this for each of these, some at a time; what each came to, in order.
pub async fn each<T, R>(these: Vec<T>, at_once: usize, work: impl AsyncFn(T) -> R) -> Vec<R> {
    use futures_util::StreamExt as _;
    futures_util::stream::iter(these).map(|one| work(one)).buffered(at_once).collect().await
}
