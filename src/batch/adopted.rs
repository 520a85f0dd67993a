//! A key that keyroll has not rotated yet: the provider is asked how old it is. Reads only.

use super::Item;
use crate::{
    driver::{field, secret_field},
    ids::KeyId,
    playbook::WriteSource,
    ports::{Credential, Got},
    schedule::Key,
};

/// The key that the first store holds, as the provider lists it. What is not told or not proved stays unknown.
///
/// # Errors
/// What the store or the provider answered.
pub async fn adopted(item: &Item) -> Got<Key> {
    let (Some(store), Some(spec)) = (item.world.stores.first(), item.book.stores.first()) else { return Ok(Key::default()) };
    let Some(snapshot) = store.read().await? else { return Ok(Key::default()) };
    let Some(secret) = snapshot.fields.get(secret_field(spec)) else { return Ok(Key::default()) };
    let claim = field(spec, WriteSource::Id).and_then(|name| snapshot.fields.get(name)).map(|id| KeyId::new(id.reveal()));
    let listed = item.world.provider.list().await?;
    let credential = Credential { id: claim, secret: secret.duplicate() };
    let Some((id, _)) = item.world.provider.identify(&credential, &listed).await? else { return Ok(Key::default()) };
    let told = listed.iter().find(|key| key.id == id);
    let (made, expires) = (told.and_then(|key| key.created_at), told.and_then(|key| key.expires_at));
    Ok(Key { id: Some(id), made, expires })
}
