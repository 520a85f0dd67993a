//! Every vendor's adapter beside a stand-in that has that vendor's shapes, delays and faults: the contract, whole rotations by the built binary, and
//! what a year's change of its replies does. To add a vendor: its stand-in in `standins/`, and its line in [`vendors!`].

mod changes;
mod clouds;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod frames;
mod hands;
mod models;
#[path = "../contracts/openai_spec.rs"]
mod openai_spec;
mod operations;
mod owners;
mod person;
mod private;
#[path = "../contracts/provider.rs"]
mod provider;
mod road;
mod scopes;
mod site;
mod slots;
mod spend;
mod standins;
mod values;
mod workspaces;

use site::Vendor;

/// A module of tests for each vendor.
macro_rules! vendors {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            fn vendor() -> crate::Vendor {
                crate::standins::$name::vendor()
            }

            #[tokio::test]
            async fn keeps_the_contract() {
                crate::site::Bench::new(vendor()).await.keeps_the_contract().await;
            }

            #[tokio::test]
            async fn each_fault_has_one_fate() {
                crate::faults::each_has_one_fate(vendor).await;
            }

            #[tokio::test]
            async fn only_its_own_word_is_death() {
                crate::faults::only_its_own_word_is_death(vendor()).await;
            }

            #[tokio::test]
            async fn a_page_that_fails_is_no_shorter_listing() {
                crate::faults::a_page_that_fails_is_no_shorter_listing(vendor()).await;
            }

            #[tokio::test]
            async fn what_is_new_in_its_replies_breaks_nothing() {
                crate::changes::what_is_new_breaks_nothing(vendor()).await;
            }

            #[tokio::test]
            async fn what_is_missing_in_its_replies_is_unknown() {
                crate::changes::what_is_missing_is_unknown(vendor).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rotates() {
                crate::road::rotates(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rolls_back() {
                crate::road::rolls_back(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn leaks() {
                crate::road::leaks(vendor()).await;
            }
        }
    )*

        /// All of them.
        fn all() -> Vec<Vendor> {
            vec![$(standins::$name::vendor()),*]
        }
    };
}

vendors! { azure_openai, bedrock, cloudflare, cloudflare_account, datadog, datadog_application, deepgram, fireworks, gemini, gemini_bound, litellm, mistral, new_api, openrouter, relay_litellm, sendgrid, twilio, xai }

/// A module of tests for each vendor whose keys only a person makes.
macro_rules! people {
    ($($name:ident: $($place:ident)::+),* $(,)?) => { $(
        mod $name {
            fn vendor() -> crate::Vendor {
                crate::standins::$($place)::+::vendor()
            }

            #[tokio::test]
            async fn only_its_own_word_is_death() {
                crate::faults::only_its_own_word_is_death(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rotates() {
                crate::person::rotates(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn rolls_back() {
                crate::person::rolls_back(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn leaks() {
                crate::person::leaks(vendor()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn is_left() {
                crate::person::is_left(vendor()).await;
            }
        }
    )* };
}

people! {
    anthropic: anthropic,
    cohere: by_person::cohere,
    deepseek: by_person::deepseek,
    github_pat: by_person::github_pat,
    groq: by_person::groq,
    hugging_face: by_person::hugging_face,
    mistral_console: by_person::mistral_console,
    openai_user: openai_user,
    stripe: by_person::stripe,
    together: by_person::together,
}

/// What is handed over by a person and listed by its vendor keeps the contract of all others.
macro_rules! listed {
    ($($module:ident: $name:ident),* $(,)?) => { $(
        mod $module {
            use crate::{changes, faults, site, standins::$name::vendor};

            #[tokio::test]
            async fn keeps_the_contract() {
                site::Bench::new(vendor()).await.keeps_the_contract().await;
            }

            #[tokio::test]
            async fn a_page_that_fails_is_no_shorter_listing() {
                faults::a_page_that_fails_is_no_shorter_listing(vendor()).await;
            }

            #[tokio::test]
            async fn what_is_new_in_its_replies_breaks_nothing() {
                changes::what_is_new_breaks_nothing(vendor()).await;
            }
        }
    )* };
}

listed! { anthropic_admin: anthropic, openai_user_admin: openai_user }

/// All at once: each waits until its vendor's listing must be complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_is_settled() {
    futures_util::future::join_all(all().into_iter().map(road::settles_a_lost_create)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idleness_is_asked_for_where_use_is_told() {
    futures_util::future::join_all(all().into_iter().map(road::asks_for_idleness)).await;
}

/// Where a change writes a key whole, what it was made with is written back.
#[tokio::test]
async fn switching_off_and_on_changes_nothing_else() {
    for vendor in all() {
        let bench = site::Bench::new(vendor).await;
        let Some(switch) = bench.provider.switch() else { continue };
        let before = bench.server.world().keys.all[0].clone();
        for on in [false, true] {
            switch.set(&keyroll::ids::KeyId::new(&before.id), on).await.unwrap_or_else(|failure| panic!("{}: {failure}", vendor.name));
            let after = bench.server.world().keys.all[0].clone();
            assert_eq!((after.enabled, &after.name, &after.more), (on, &before.name, &before.more), "{}", vendor.name);
            assert_eq!(after.expires.map(|end| end.timestamp()), before.expires.map(|end| end.timestamp()), "{}", vendor.name);
        }
    }
}
