//! A key of LiteLLM may hold credentials of others. They go from one key into the next, and are neither shown nor written down.

use serde_json::json;

use crate::{
    road::{Road, left_out},
    standins::litellm,
};

const LANGFUSE: &str = "sk-lf-7c1e90ab";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_within_a_key_are_neither_shown_nor_written_down() {
    let road = Road::new(litellm::vendor()).await;
    let logging = json!([{ "callback_name": "langfuse", "callback_vars": { "langfuse_secret_key": LANGFUSE } }]);
    road.server.world().keys.all[0].more["metadata"]["logging"] = logging.clone();
    let secretly = |said: String| {
        assert!(!said.contains(LANGFUSE), "a credential was shown");
        for file in std::fs::read_dir(road.folder.path()).expect("a folder") {
            // What is no file is the lock's folder.
            let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
            assert!(!bytes.windows(LANGFUSE.len()).any(|part| part == LANGFUSE.as_bytes()), "a credential was written down");
        }
        said
    };
    let metadata = |id: &str| road.server.world().keys.all.iter().find(|key| key.id == id).expect("a key").more["metadata"].clone();

    let said = secretly(road.ends(&road.keyroll(&["plan", "book.yaml"]).await, 0));
    assert!(said.contains("metadata.logging"), "it is named: {said}");
    let said = secretly(road.ends(&road.keyroll(&["run", "book.yaml", "--yes"]).await, 0));
    let rotated = road.only(&said);
    assert_eq!(metadata(&rotated)["logging"], logging, "{said}");

    let emergency = ["emergency", "book.yaml", "--mode", "revoke-first", "--reason", "in a public repository", "--yes"];
    let said = secretly(road.ends(&road.keyroll(&emergency).await, 0));
    let new = road.only(&said);
    assert_eq!(left_out(&said), ["config", "router_settings", "metadata.logging"], "{said}");
    assert_eq!(metadata(&new), json!({ "tags": ["prod"], "model_rpm_limit": { "gpt-4o-mini": 300 } }), "{said}");
}
