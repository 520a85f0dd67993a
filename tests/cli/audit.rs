//! `report` and `audit` on a journal that the built binary wrote.

use std::{fs, path::Path};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ends, stage::Stage};

async fn sql(journal: &Path, text: String) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", journal.display())).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&pool).await.unwrap();
    pool.close().await;
}

/// Two rotations.
async fn rotated() -> Stage {
    let stage = Stage::new().await;
    for _ in 0..2 {
        ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 0);
    }
    stage
}

fn lines(output: &std::process::Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_a_chain_with_stable_names() {
    let stage = rotated().await;
    let lines = lines(&stage.keyroll(&["audit", "export"]).await);
    let names: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "audit",
            "journal",
            "kind",
            "rotation",
            "playbook",
            "seq",
            "time",
            "actor",
            "event",
            "outcome",
            "held",
            "ended",
            "sentence",
            "previous_hash",
            "hash"
        ]
    );
    let rotations: std::collections::BTreeSet<_> = lines.iter().map(|line| line["rotation"].as_str().unwrap()).collect();
    assert_eq!(rotations.len(), 2);
    for pair in lines.windows(2).filter(|pair| pair[0]["rotation"] == pair[1]["rotation"]) {
        assert_eq!(pair[0]["hash"], pair[1]["previous_hash"]);
        assert_eq!(pair[0]["seq"].as_u64().unwrap() + 1, pair[1]["seq"].as_u64().unwrap());
    }
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    for event in ["planned", "intended.create", "did.promote", "saw.consumer", "intended.delete", "saw.dead"] {
        assert!(events.contains(&event), "{event} is not in {events:?}");
    }
    assert_eq!(lines.last().unwrap()["ended"], "done");
    // The report names the same head.
    let id = lines.last().unwrap()["rotation"].as_str().unwrap().to_owned();
    let report: Value = serde_json::from_slice(&stage.keyroll(&["report", &id, "--output", "json"]).await.stdout).unwrap();
    assert_eq!(report["chain"]["head"], lines.last().unwrap()["hash"]);
    let later = stage.keyroll(&["audit", "export", "--since", "tomorrow 09:00"]).await;
    assert_eq!(ends(&later, 0), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_record_is_named_and_the_other_chains_are_still_checked() {
    let stage = rotated().await;
    let good = ends(&stage.keyroll(&["audit", "verify"]).await, 0);
    assert!(good.contains("3 of 3 chains are good"), "{good}");
    let id = lines(&stage.keyroll(&["audit", "export"]).await)[0]["rotation"].as_str().unwrap().to_owned();
    sql(&stage.journal(), format!("UPDATE event SET body = replace(body, 'stage', 'other') WHERE rotation = '{id}' AND seq = 2")).await;
    let said = ends(&stage.keyroll(&["audit", "verify"]).await, 5);
    assert!(said.contains(&format!("✗ rotation {id}  stage: record 2")), "{said}");
    assert!(said.contains("2 of 3 chains are good"), "{said}");
    ends(&stage.keyroll(&["audit", "verify", &id]).await, 5);
    let exported = stage.keyroll(&["audit", "export"]).await;
    assert_eq!(exported.status.code(), Some(5));
    assert!(!lines(&exported).is_empty(), "the good rotation is exported");
    assert!(lines(&exported).iter().all(|line| line["rotation"] != id.as_str()), "the bad one is not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_was_changed_is_found() {
    for change in ["held = 1", "name = 'other'"] {
        let stage = rotated().await;
        sql(&stage.journal(), format!("UPDATE rotation SET {change}")).await;
        let said = ends(&stage.keyroll(&["audit", "verify"]).await, 5);
        assert_eq!(said.matches("the listing was changed").count(), 2, "{said}");
    }
}

/// Whoever may write the file computes every hash anew: the chain is good, and only the export knows better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_the_journal_anew_is_found_by_an_earlier_export() {
    let stage = rotated().await;
    let export = stage.journal().with_file_name("export.jsonl");
    fs::write(&export, stage.keyroll(&["audit", "export"]).await.stdout).unwrap();
    let against = ["audit", "verify", "--against", export.to_str().unwrap()];
    ends(&stage.keyroll(&against).await, 0);
    ends(&stage.keyroll(&["run", stage.playbook().to_str().unwrap()]).await, 0);
    ends(&stage.keyroll(&against).await, 0);

    let id = lines(&stage.keyroll(&["audit", "export"]).await)[0]["rotation"].as_str().unwrap().to_owned();
    forge(&stage.journal(), &id).await;
    let said = ends(&stage.keyroll(&["audit", "verify"]).await, 0);
    assert!(said.contains("4 of 4 chains are good"), "the forged chain fits itself: {said}");
    let said = ends(&stage.keyroll(&against).await, 5);
    assert!(said.contains(&format!("rotation {id}  stage: record 2 is not the one that was exported")), "{said}");

    sql(&stage.journal(), format!("DELETE FROM event WHERE rotation = '{id}'; DELETE FROM rotation WHERE id = '{id}'")).await;
    ends(&stage.keyroll(&["audit", "verify"]).await, 0);
    let said = ends(&stage.keyroll(&against).await, 5);
    assert!(said.contains(&format!("rotation {id}")) && said.contains("is not in the journal any more"), "{said}");
}

/// Moves record 2 into the past, and every hash after it along.
async fn forge(journal: &Path, id: &str) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", journal.display())).await.unwrap();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT seq, body FROM event WHERE rotation = $1 ORDER BY seq").bind(id).fetch_all(&pool).await.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut head = hex(&Sha256::digest(id));
    for (seq, mut body) in rows {
        if seq == 2 {
            let mut value: Value = serde_json::from_str(&body).unwrap();
            value["at"] = "2020-01-01T00:00:00Z".into();
            body = value.to_string();
        }
        head = hex(&Sha256::digest(format!("{head}{body}")));
        let update = sqlx::query("UPDATE event SET body = $1, hash = $2 WHERE rotation = $3 AND seq = $4");
        update.bind(&body).bind(&head).bind(id).bind(seq).execute(&pool).await.unwrap();
    }
    sqlx::query("UPDATE rotation SET head = $1 WHERE id = $2").bind(&head).bind(id).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_export_of_this_journal_is_refused() {
    let stage = rotated().await;
    let file = stage.journal().with_file_name("file");
    let foreign = r#"{"journal":"other","rotation":null,"seq":1,"previous_hash":"a","hash":"b"}"#;
    for (text, code, says) in [("", 2, "holds no line"), ("{}\n", 2, "line 1"), (foreign, 5, "journal other")] {
        fs::write(&file, text).unwrap();
        let said = ends(&stage.keyroll(&["audit", "verify", "--against", file.to_str().unwrap()]).await, code);
        assert!(said.contains(says), "{said}");
    }
    ends(&stage.keyroll(&["audit", "verify", "nobody"]).await, 2);
    ends(&stage.keyroll(&["audit", "export", "--since", "soon"]).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_text_an_object_or_a_page() {
    let stage = rotated().await;
    let text = ends(&stage.keyroll(&["report", "stage"]).await, 0);
    assert!(text.contains("proved at"), "{text}");
    let file = stage.journal().with_file_name("report.html");
    ends(&stage.keyroll(&["report", "stage", "--html", file.to_str().unwrap()]).await, 0);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "one whole page");
    let piped = stage.keyroll(&["report", "stage", "--html", "-"]).await;
    assert!(piped.stdout.starts_with(b"<!DOCTYPE html>"));
    ends(&stage.keyroll(&["report", "nobody-knows"]).await, 2);
}
