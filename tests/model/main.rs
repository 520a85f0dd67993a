//! The protocol in a hostile world, exhaustively.
//!
//! `protocol::decide` and `apply` are the production functions. Around them stands a small world, in which everything that can go wrong
//! goes wrong, as often as a [setting](setting) allows:
//!
//! - two runners: either may take the other's rotation over at any moment; the other does not know it yet, and still finishes the effect
//!   that it has begun, at any later time. A runner knows nothing but the journal, and what it reads;
//! - calls: a reply is lost, the call lands late, or never, or twice;
//! - stores: conditional writes, fields of other people, values of other people, an old value that somebody writes back by hand; a reader
//!   may get a value of before until `stale_for` is over (for instances always, for keyroll's own readings in one setting);
//! - instances: each reads its store at any moment (so it is after a restart, too), and keeps what it read for as long as it likes;
//! - the provider: refuses, has no room, lists no names, holds keys of other people; somebody else deletes the old key;
//! - people: they ask to go back, to go on, to amend, to waive; they say that the old key leaked, or the new one, or both, and how
//!   quickly it must go.
//!
//! What must hold in every state is in [`promises`], under DESIGN's numbers. I4 (every journal write is conditional) and I10 are how the
//! world is built: [`World::append`] takes nothing from a runner that lost its lease. I8 too: a runner that takes over starts from the
//! journal alone. I7 and I9 cannot be seen here: there are no values and no clocks, only whether a wait was long enough.
//!
//! Two explorers walk each setting: stateright (breadth first, all cores), and [`walk`], which also keeps the edges, tells the shortest
//! story of what is broken, and finds the states from which no way leads to an end. Both must find the same number of states.
//!
//! `cargo test --test model` explores the small size; `KEYROLL_MODEL=full cargo test --test model` all of it (CI does).

mod agrees;
mod explore;
mod looks;
mod memory;
mod moves;
mod mutants;
mod promises;
mod setting;
mod steps;
mod story;
mod walk;
mod world;

use stateright::{Model, Property};

use crate::{moves::Move, promises::PROMISES, setting::Setting, world::World};

impl Model for Setting {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        self.under(|| world.moves(self, moves));
    }

    fn next_state(&self, world: &World, step: Move) -> Option<World> {
        self.under(|| world.after(self, step))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        PROMISES.iter().map(|(name, holds)| Property::always(name, *holds)).collect()
    }
}
