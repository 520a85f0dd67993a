//! Listings that come in pages.

use crate::ports::{Failure, Got};

/// A listing that does not end by then never ends.
const MOST_PAGES: usize = 1000;

/// All items of all pages. `page` gets the cursor of the page before (none: the first page) and gives its items and the next cursor.
///
/// # Errors
/// A page's; a cursor that comes twice, or pages without end: `what` was listed.
pub async fn pages<T, P>(what: &str, page: impl Fn(Option<String>) -> P) -> Got<Vec<T>>
where
    P: Future<Output = Got<(Vec<T>, Option<String>)>>,
{
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let (items, next) = page(cursor.clone()).await?;
        all.extend(items);
        match next {
            None => return Ok(all),
            Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
            Some(_) => break,
        }
    }
    Err(Failure::unknown(format!("{what}: the listing has no end")))
}
