//! A new key that a person made: it is looked at, and taken in.

use super::{
    Halt,
    hands::{Hands, endure},
};
use crate::{
    ports::{Credential, Life},
    protocol::{Handed, fit},
    record::Detail,
    rotation::Rotation,
};

impl Hands<'_> {
    /// Takes in what a person handed over; none: nothing was.
    ///
    /// # Errors
    /// [`Halt::Unfit`] where it is no new key; it is still waited for one then.
    pub(super) async fn take(&mut self, rotation: &Rotation) -> Result<Option<Detail>, Halt> {
        let Some(secret) = self.handed.take() else { return Ok(None) };
        let print = secret.fingerprint(self.journal.salt());
        let credential = Credential { id: None, secret };
        let listed = endure!(self, self.world.provider.list());
        let life = endure!(self, self.world.provider.probe(&credential));
        let proof = endure!(self, self.world.provider.identify(&credential, &listed));
        let id = proof.map(|(id, _)| id);
        let had = self.known.role(&credential.secret).is_some() || id.as_ref().is_some_and(|id| rotation.tombstones.contains(id));
        fit(Handed {
            proved: id.is_some(),
            had,
            before: id.as_ref().is_some_and(|id| rotation.plan.listed.contains(id)),
            works: match life {
                Life::Alive => Some(true),
                Life::Dead => Some(false),
                Life::Unclear => None,
            },
        })?;
        let Some(id) = id else { return Ok(None) };
        let told = listed.iter().find(|key| key.id == id);
        let (created_at, expires_at) = (told.and_then(|key| key.created_at), told.and_then(|key| key.expires_at));
        self.value = Some(credential.secret);
        Ok(Some(Detail::Created { id, fingerprint: print, created_at, expires_at }))
    }
}
