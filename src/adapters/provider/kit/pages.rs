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

/// All items of all pages that are asked for by their number, from 0: the last one is not `full`.
///
/// # Errors
/// Those of [`pages`].
pub async fn full_pages<T, P>(what: &str, full: usize, page: impl Fn(usize) -> P) -> Got<Vec<T>>
where
    P: Future<Output = Got<Vec<T>>>,
{
    let page = &page;
    let numbered = |cursor: Option<String>| async move {
        let number = cursor.and_then(|number| number.parse().ok()).unwrap_or(0);
        let items = page(number).await?;
        let next = (items.len() >= full).then(|| (number + 1).to_string());
        Ok((items, next))
    };
    pages(what, numbered).await
}
