//! A document as one page that needs nothing else: no script, no request. Every text goes through maud, which escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Document, Look, Moment,
    text::{facts, length, new_facts, old_facts, purpose, stamp, verdict, which},
};
use crate::{
    protocol::Answer,
    record::Missing,
    report::{Leaked, paint::clean, words},
};

/// No page may load or run anything, even if something in it were not escaped.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A page around `body`.
pub fn shell(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body { main { (body) } }
        }
    }
    .into_string()
}

/// The document as a page.
pub fn page(doc: &Document) -> String {
    let body = html! {
        header {
            p.kicker { "Rotation report" }
            h1 { (clean(&doc.playbook)) }
            p class={ "outcome " (doc.outcome) } { (doc.headline) }
            @if let Some(because) = &doc.because { p.because { "Because: " (because) } }
        }
        @if let Some(leak) = &doc.leak { (section("The leak", &leaked(leak))) }
        div.cards {
            (card("What and why", &facts(doc)))
            (card("Old key", &old_facts(doc)))
            (card("New key", &new_facts(doc)))
        }
        @if !doc.next.is_empty() {
            (section("What is left to do", &html! { ul.commands { @for line in &doc.next { (command(line)) } } }))
        }
        @if !doc.holds.is_empty() { (section("Held for a person", &holds(doc))) }
        @if !doc.people.is_empty() { (section("People", &people(doc))) }
        @if !doc.waivers.is_empty() { (section("Waivers", &waivers(doc))) }
        (section("Evidence", &evidence(doc)))
        (section("Stores", &stores(doc)))
        @if !doc.waits.is_empty() { (section("Waits", &waits(doc))) }
        @if !doc.notes.is_empty() { (section("Notes", &html! { ul { @for note in &doc.notes { li { (clean(note)) } } } })) }
        @if !doc.setbacks.is_empty() { (section("Refused, or without a clear answer", &moments(&doc.setbacks))) }
        (section("What happened", &moments(&doc.timeline)))
        footer {
            dl {
                (fact("rotation", &doc.rotation)) (fact("journal", &doc.chain.journal))
                (fact("records", &doc.chain.records.to_string())) (fact("head", &doc.chain.head))
            }
            p { "Every record's hash was checked by " (doc.made_by) " at " (stamp(doc.made_at)) ". Times are UTC." }
        }
    };
    shell(&format!("{}: {}", clean(&doc.playbook), doc.headline), &body)
}

fn section(head: &str, body: &Markup) -> Markup {
    html! { section { h2 { (head) } (body) } }
}

fn fact(label: &str, value: &str) -> Markup {
    let loud = value.starts_with("NO");
    html! { div { dt { (label) } dd.loud[loud] { (clean(value)) } } }
}

fn card(head: &str, facts: &[(&str, String)]) -> Markup {
    html! { section.card { h2 { (head) } dl { @for (label, value) in facts { (fact(label, value)) } } } }
}

/// A command, and beside it what it is for.
pub fn command(line: &str) -> Markup {
    let (command, comment) = line.rsplit_once("  # ").unwrap_or((line, ""));
    html! { li { code { (clean(command)) } @if !comment.is_empty() { span { (clean(comment)) } } } }
}

fn leaked(leak: &Leaked) -> Markup {
    html! {
        p { strong { (clean(&leak.headline)) } }
        @for line in leak.more.iter().chain(&leak.usage) { p { (clean(line)) } }
        p { "What remains for a person:" }
        ul { @for line in &leak.remains { li { (clean(line)) } } }
    }
}

fn people(doc: &Document) -> Markup {
    html! { table { thead { tr { th { "When" } th { "Who" } th { "What" } th { "Why" } } } tbody {
        @for act in &doc.people {
            tr { td.time { (stamp(act.at)) } td { (clean(&act.by)) } td { (act.did) } td { (clean(act.reason.as_deref().unwrap_or("–"))) } }
        }
    } } }
}

fn holds(doc: &Document) -> Markup {
    html! { table { thead { tr { th { "From" } th { "Until" } th { "Why" } } } tbody {
        @for hold in &doc.holds {
            tr { td.time data-label="From" { (stamp(hold.from)) } td.time data-label="Until" { (hold.until.map_or_else(|| "still".into(), stamp)) } td { (hold.why) } }
        }
    } } }
}

fn waivers(doc: &Document) -> Markup {
    html! { table { thead { tr { th { "When" } th { "Whose proof" } th { "By" } th { "Why" } } } tbody {
        @for one in &doc.waivers {
            tr {
                td.time { (stamp(one.at)) }
                td { @match &one.instance { Some(id) => { (clean(id.as_str())) " of " (clean(&one.consumer)) } None => { "all of " (clean(&one.consumer)) } } }
                td { (clean(&one.by)) }
                td { (clean(one.reason.as_deref().unwrap_or("–"))) }
            }
        }
    } } }
}

fn evidence(doc: &Document) -> Markup {
    html! {
        ul.readers { @for one in &doc.consumers {
            li { b { (clean(&one.name)) } @if one.job { " is a job: its longest run is part of the wait" } @else { ": " (words::instances(one.expected)) " expected" } }
        } }
        @for look in &doc.verifications { (looked(look)) }
        @if doc.verifications.is_empty() { p { "Nothing was proved yet." } }
    }
}

fn looked(look: &Look) -> Markup {
    let all = look.proved.len() + look.missing.len();
    let tone = if look.counted && all == 0 {
        "plain"
    } else if look.counted {
        "good"
    } else if look.answer == Answer::Yes {
        "plain"
    } else {
        "bad"
    };
    html! {
        details open {
            summary {
                span class={ "badge " (tone) } { @if all > 0 { (look.proved.len()) " of " (all) } @else { "–" } }
                " " (clean(&purpose(look)))
                span.aside { (stamp(look.at)) " · record " (look.seq) " · " (verdict(look)) }
            }
            @if all > 0 { table.proofs { thead { tr { th { "Consumer" } th { "Instance" } th { "Reported" } th { "At" } } } tbody {
                @for one in &look.proved {
                    tr { td { (clean(&one.consumer)) } td { code { (clean(one.instance.as_str())) } } td { (clean(&one.reported)) } td.time { (one.at.format("%H:%M:%S")) } }
                }
                @for one in &look.missing { (missed(one)) }
            } } }
        }
    }
}

fn missed(one: &Missing) -> Markup {
    html! { tr.missing {
        td { (clean(&one.consumer)) }
        td { @match &one.instance { Some(id) => code { (clean(id.as_str())) } None => "–" } }
        td colspan="2" { (clean(&one.why)) }
    } }
}

fn stores(doc: &Document) -> Markup {
    html! { table { thead { tr { th { "Store" } th { "Version" } th { "Holds" } th { "Seen" } } } tbody {
        @for store in &doc.stores { @for (at, kept) in store.versions.iter().enumerate() {
            tr {
                td { @if at == 0 { (clean(&store.locator)) } }
                td data-label="Version" { code { (clean(kept.version.as_str())) } }
                td data-label="Holds" { (which(kept.key)) }
                td.time data-label="Seen" { (stamp(kept.at)) }
            }
        } }
    } } }
}

fn waits(doc: &Document) -> Markup {
    html! { table { thead { tr { th { "Began" } th { "Planned" } th { "Was" } th { "What for" } } } tbody {
        @for wait in &doc.waits {
            tr {
                td.time data-label="Began" { (stamp(wait.began)) }
                td data-label="Planned" { (length(wait.planned_seconds)) }
                td data-label="Was" { (wait.lasted_seconds.map_or_else(|| "not to its end".into(), length)) }
                td { (clean(&wait.what_for)) }
            }
        }
    } } }
}

fn moments(moments: &[Moment]) -> Markup {
    let mut day = None;
    html! { ol.timeline { @for one in moments {
        @if day.replace(one.at.date_naive()) != Some(one.at.date_naive()) { li.day { (one.at.format("%A, %-d %B %Y")) } }
        li class=(one.tone) {
            span.when { (one.at.format("%H:%M:%S")) }
            span.what { (one.sentence) @if one.tone == "forever" { em { "cannot be undone" } } }
        }
    } } }
}
