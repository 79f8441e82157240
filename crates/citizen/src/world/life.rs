//! Entities come into being and go, and scripts are told.

use std::rc::Rc;

use tickscope_core::Recorder;

use super::entities::{Body, DELETE_ON_OWNER_DISCONNECT, DELETE_WHEN_NOT_RELEVANT, Entity, Ped};
use crate::events::Source;
use crate::host::Host;
use crate::msgpack::Message;
use crate::references::Parcel;
use crate::resource::Resource;

/// The model of players who chose none: `mp_m_freemode_01`.
const PLAYER_MODEL: u32 = 0x705e_61f2;
/// Events about entities that wait for the next tick.
const MAX_NEWS: usize = 65_536;

/// Something to tell scripts with the next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A client made it: `entityCreating`, which may be cancelled, then `entityCreated`.
    ByClient(u32),
    ByServer(u32),
    Removed(u32),
}

impl<R: Recorder + 'static> Host<R> {
    /// Makes an entity; 0 when there are too many.
    pub(crate) fn create_entity(
        &self,
        resource: &Rc<Resource>,
        by_client: bool,
        position: [f32; 3],
        heading: f32,
        model: u32,
        body: impl FnOnce(u32) -> Body,
    ) -> u32 {
        let mut entities = self.world.entities.borrow_mut();
        let made = entities.add(false, |handle, network_id| {
            let mut entity = Entity::new(handle, network_id, model, position, body(handle));
            entity.set_heading(heading);
            entity.script = Some(Rc::clone(&resource.name));
            entity.by_client = by_client;
            entity
        });
        let Some(handle) = made else { return 0 };
        let owner = entities.get(handle).and_then(|entity| entities.owner(entity));
        if let Some(entity) = entities.get_mut(handle) {
            entity.first_owner = owner;
        }
        drop(entities);
        self.tell_later(if by_client { News::ByClient(handle) } else { News::ByServer(handle) });
        handle
    }

    /// Makes the ped of a player who joins.
    pub(crate) fn create_player_ped(&self, source: u32, position: [f32; 3]) -> u32 {
        let made = self.world.entities.borrow_mut().add(true, |handle, network_id| {
            let body = Body::Ped(Ped::new(Some(source)));
            let mut entity = Entity::new(handle, network_id, PLAYER_MODEL, position, body);
            entity.first_owner = Some(source);
            entity
        });
        made.unwrap_or(0)
    }

    /// Takes an entity out of the game; not the ped of a player.
    pub(crate) fn delete_entity(&self, handle: u32) {
        let mut entities = self.world.entities.borrow_mut();
        let is_player = entities.get(handle).and_then(Entity::ped).is_some_and(|ped| ped.player.is_some());
        let removed = if is_player { None } else { entities.remove(handle) };
        drop(entities);
        self.after_removal(removed);
    }

    /// A player has gone: so does the ped, and what nobody else looks after.
    pub(crate) fn forget_player(&self, source: u32, ped: u32) {
        let mut entities = self.world.entities.borrow_mut();
        let mut gone = Vec::new();
        gone.extend(entities.remove(ped));
        let orphans: Vec<u32> = entities
            .iter()
            .filter(|entity| entity.first_owner == Some(source))
            .filter(|entity| match entity.orphan_mode {
                DELETE_ON_OWNER_DISCONNECT => true,
                DELETE_WHEN_NOT_RELEVANT => entity.by_client && entities.owner(entity).is_none(),
                _ => false,
            })
            .map(|entity| entity.handle)
            .collect();
        gone.extend(orphans.into_iter().filter_map(|orphan| entities.remove(orphan)));
        drop(entities);
        self.after_removal(gone);
    }

    fn after_removal(&self, gone: impl IntoIterator<Item = Entity>) {
        for entity in gone {
            self.state_bags.remove(&format!("entity:{}", entity.network_id));
            self.tell_later(News::Removed(entity.handle));
        }
    }

    fn tell_later(&self, news: News) {
        let mut all = self.world.news.borrow_mut();
        if all.len() < MAX_NEWS {
            all.push(news);
        }
    }

    /// Triggers the events about entities: called with each tick, when no script runs.
    pub(crate) fn tell_news(self: &Rc<Self>) {
        let news = std::mem::take(&mut *self.world.news.borrow_mut());
        for news in news {
            match news {
                News::ByServer(handle) => {
                    self.tell_entity("serverEntityCreated", handle);
                    self.tell_entity("entityCreated", handle);
                }
                News::ByClient(handle) => {
                    if !self.tell_entity("entityCreating", handle) {
                        self.delete_entity(handle);
                    } else if self.world.entities.borrow().get(handle).is_some() {
                        self.tell_entity("entityCreated", handle);
                    }
                }
                News::Removed(handle) => {
                    self.tell_entity("entityRemoved", handle);
                }
            }
        }
    }

    fn tell_entity(self: &Rc<Self>, event: &str, handle: u32) -> bool {
        let mut message = Message::default();
        message.integer(handle.into());
        let parcel = Parcel::new(message.finish(1), Vec::new(), &self.references);
        self.trigger(event, &parcel, Source::Server)
    }
}
