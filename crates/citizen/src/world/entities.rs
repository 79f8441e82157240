//! Entities: peds, vehicles, objects, as the server sees them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::players::FIRST_TEMPORARY;

/// Handles that scripts get are numbers above this.
const FIRST_HANDLE: u32 = 0x2_0000;
/// Network ids of what the server makes go down from here; those of players' peds go up from 1.
const LAST_NETWORK_ID: u32 = 65_534;
/// How far from an entity a player may be and still own it.
const OWNING_DISTANCE: f32 = 424.0;

/// `WEAPON_UNARMED`.
const UNARMED: u32 = 0xa271_9263;

/// What an entity is.
#[derive(Debug)]
pub(crate) enum Body {
    Ped(Ped),
    Vehicle(Vehicle),
    Object,
}

#[derive(Debug)]
pub(crate) struct Ped {
    /// Whose ped it is.
    pub(crate) player: Option<u32>,
    /// The vehicle and the seat it is in.
    pub(crate) seat: Option<(u32, i32)>,
    pub(crate) last_vehicle: u32,
    pub(crate) armour: i32,
    pub(crate) weapon: u32,
    /// Ammunition by weapon.
    pub(crate) weapons: BTreeMap<u32, i32>,
}

impl Ped {
    pub(crate) fn new(player: Option<u32>) -> Self {
        Self { player, seat: None, last_vehicle: 0, armour: 0, weapon: UNARMED, weapons: BTreeMap::new() }
    }

    /// Takes a weapon away; the hand is empty when it held it.
    pub(crate) fn disarm(&mut self, weapon: u32) {
        self.weapons.remove(&weapon);
        if self.weapon == weapon {
            self.weapon = UNARMED;
        }
    }
}

#[derive(Debug)]
pub(crate) struct Vehicle {
    /// `automobile`, `bike`, …
    pub(crate) kind: String,
    /// Eight characters.
    pub(crate) plate: String,
    pub(crate) colours: (i32, i32),
    pub(crate) custom_primary: Option<[u8; 3]>,
    pub(crate) custom_secondary: Option<[u8; 3]>,
    pub(crate) body_health: f32,
    pub(crate) dirt: f32,
    pub(crate) lock: i32,
    /// Peds by seat, -1 the driver's.
    pub(crate) seats: BTreeMap<i32, u32>,
}

impl Vehicle {
    pub(crate) fn new(kind: String, handle: u32) -> Self {
        Self {
            kind,
            plate: made_plate(handle),
            colours: (0, 0),
            custom_primary: None,
            custom_secondary: None,
            body_health: 1000.0,
            dirt: 0.0,
            lock: 0,
            seats: BTreeMap::new(),
        }
    }

    /// As the game keeps it: eight capital letters, filled up with spaces.
    pub(crate) fn set_plate(&mut self, text: &str) {
        let text: String = text.to_uppercase().chars().take(8).collect();
        self.plate = format!("{text:<8}");
    }
}

/// A plate as the game makes them, `12ABC345`, always the same for a handle.
fn made_plate(handle: u32) -> String {
    let mut rest = handle.wrapping_mul(2_654_435_761);
    let mut next = |count: u32| {
        let value = rest % count;
        rest = (rest / count) ^ rest.rotate_left(7);
        value
    };
    let digits = |value: u32, len: usize| format!("{value:0len$}");
    let (first, last) = (digits(next(100), 2), digits(next(1000), 3));
    let letters: String = (0..3).map(|_| char::from(b'A' + next(26) as u8)).collect();
    first + &letters + &last
}

/// What happens to an entity when nobody is near.
pub(crate) const DELETE_WHEN_NOT_RELEVANT: i32 = 0;
pub(crate) const DELETE_ON_OWNER_DISCONNECT: i32 = 1;

#[derive(Debug)]
pub(crate) struct Entity {
    pub(crate) handle: u32,
    pub(crate) network_id: u32,
    pub(crate) body: Body,
    pub(crate) model: u32,
    pub(crate) position: [f32; 3],
    /// Pitch, roll, yaw, in degrees.
    pub(crate) rotation: [f32; 3],
    pub(crate) velocity: [f32; 3],
    pub(crate) rotation_velocity: [f32; 3],
    pub(crate) health: i32,
    pub(crate) max_health: i32,
    pub(crate) bucket: u32,
    pub(crate) frozen: bool,
    /// The resource that made it.
    pub(crate) script: Option<Rc<str>>,
    /// The player who owned it first.
    pub(crate) first_owner: Option<u32>,
    /// Whether a client was asked to make it.
    pub(crate) by_client: bool,
    pub(crate) orphan_mode: i32,
}

impl Entity {
    pub(crate) fn new(handle: u32, network_id: u32, model: u32, position: [f32; 3], body: Body) -> Self {
        let health = match body {
            Body::Ped(_) => 200,
            Body::Vehicle(_) => 1000,
            Body::Object => 0,
        };
        Self {
            handle,
            network_id,
            body,
            model,
            position,
            rotation: [0.0; 3],
            velocity: [0.0; 3],
            rotation_velocity: [0.0; 3],
            health,
            max_health: health,
            bucket: 0,
            frozen: false,
            script: None,
            first_owner: None,
            by_client: false,
            orphan_mode: DELETE_WHEN_NOT_RELEVANT,
        }
    }

    /// Degrees from north, counter-clockwise, from 0 to 360.
    pub(crate) fn heading(&self) -> f32 {
        self.rotation[2].rem_euclid(360.0)
    }

    pub(crate) fn set_heading(&mut self, heading: f32) {
        let heading = heading.rem_euclid(360.0);
        self.rotation = [0.0, 0.0, if heading > 180.0 { heading - 360.0 } else { heading }];
    }

    pub(crate) fn ped(&self) -> Option<&Ped> {
        match &self.body {
            Body::Ped(ped) => Some(ped),
            _ => None,
        }
    }

    pub(crate) fn ped_mut(&mut self) -> Option<&mut Ped> {
        match &mut self.body {
            Body::Ped(ped) => Some(ped),
            _ => None,
        }
    }

    pub(crate) fn vehicle(&self) -> Option<&Vehicle> {
        match &self.body {
            Body::Vehicle(vehicle) => Some(vehicle),
            _ => None,
        }
    }

    pub(crate) fn vehicle_mut(&mut self) -> Option<&mut Vehicle> {
        match &mut self.body {
            Body::Vehicle(vehicle) => Some(vehicle),
            _ => None,
        }
    }
}

/// All entities, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Entities {
    by_handle: BTreeMap<u32, Entity>,
    by_network_id: BTreeMap<u32, u32>,
    last_handle: u32,
    last_client_id: u32,
    last_server_id: u32,
    /// Blips and their sprites.
    pub(crate) blips: BTreeMap<i64, i64>,
    last_blip: i64,
}

impl Entities {
    pub(crate) fn get(&self, handle: u32) -> Option<&Entity> {
        self.by_handle.get(&handle)
    }

    pub(crate) fn get_mut(&mut self, handle: u32) -> Option<&mut Entity> {
        self.by_handle.get_mut(&handle)
    }

    /// The handle of the entity with that network id.
    pub(crate) fn networked(&self, network_id: u32) -> Option<u32> {
        self.by_network_id.get(&network_id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entity> {
        self.by_handle.values()
    }

    /// Adds what `make` makes of a new handle and network id; `None` when all ids are taken.
    pub(crate) fn add(&mut self, of_player: bool, make: impl FnOnce(u32, u32) -> Entity) -> Option<u32> {
        if self.by_network_id.len() >= LAST_NETWORK_ID as usize {
            return None;
        }
        let network_id = loop {
            let last = if of_player { &mut self.last_client_id } else { &mut self.last_server_id };
            *last = *last % LAST_NETWORK_ID + 1;
            let id = if of_player { *last } else { LAST_NETWORK_ID + 1 - *last };
            if !self.by_network_id.contains_key(&id) {
                break id;
            }
        };
        self.last_handle += 1;
        let handle = FIRST_HANDLE + self.last_handle;
        self.by_handle.insert(handle, make(handle, network_id));
        self.by_network_id.insert(network_id, handle);
        Some(handle)
    }

    pub(crate) fn remove(&mut self, handle: u32) -> Option<Entity> {
        self.leave_vehicle(handle);
        let entity = self.by_handle.remove(&handle)?;
        self.by_network_id.remove(&entity.network_id);
        if let Body::Vehicle(vehicle) = &entity.body {
            for ped in vehicle.seats.values() {
                if let Some(ped) = self.get_mut(*ped).and_then(Entity::ped_mut) {
                    ped.seat = None;
                    ped.last_vehicle = 0;
                }
            }
        }
        Some(entity)
    }

    pub(crate) fn add_blip(&mut self) -> i64 {
        self.last_blip += 1;
        self.blips.insert(self.last_blip, 1);
        self.last_blip
    }

    /// Where an entity is: whoever sits in a vehicle is where that is.
    pub(crate) fn position(&self, entity: &Entity) -> [f32; 3] {
        let vehicle = entity.ped().and_then(|ped| self.get(ped.seat?.0));
        vehicle.map_or(entity.position, |vehicle| vehicle.position)
    }

    /// Puts a ped into a seat: -1 is the driver's, -2 the first that is free. Whoever is there has to leave.
    pub(crate) fn enter_vehicle(&mut self, ped: u32, vehicle: u32, seat: i32) {
        if self.get(ped).and_then(Entity::ped).is_none() {
            return;
        }
        let Some(seats) = self.get(vehicle).and_then(Entity::vehicle).map(|vehicle| &vehicle.seats) else {
            return;
        };
        let seat = match seat {
            -2 => (-1..16).find(|seat| !seats.contains_key(seat)).unwrap_or(-1),
            seat => seat,
        };
        if let Some(other) = seats.get(&seat).copied() {
            self.leave_vehicle(other);
        }
        self.leave_vehicle(ped);
        if let Some(vehicle) = self.get_mut(vehicle).and_then(Entity::vehicle_mut) {
            vehicle.seats.insert(seat, ped);
        }
        if let Some(ped) = self.get_mut(ped).and_then(Entity::ped_mut) {
            ped.seat = Some((vehicle, seat));
        }
    }

    /// Moves a ped, and the vehicle it drives. A passenger gets out. `false` when there is no such ped.
    pub(crate) fn move_ped(&mut self, handle: u32, position: [f32; 3], heading: f32) -> bool {
        let Some(ped) = self.get(handle).and_then(Entity::ped) else { return false };
        let driven = ped.seat.filter(|(_, seat)| *seat == -1).map(|(vehicle, _)| vehicle);
        if driven.is_none() {
            self.leave_vehicle(handle);
        }
        for moved in [Some(handle), driven].into_iter().flatten() {
            if let Some(entity) = self.get_mut(moved) {
                entity.position = position;
                entity.set_heading(heading);
            }
        }
        true
    }

    /// Takes a ped out of its vehicle; it stays where that is.
    pub(crate) fn leave_vehicle(&mut self, handle: u32) {
        let Some(entity) = self.get(handle) else { return };
        let position = self.position(entity);
        let Some((vehicle, seat)) = entity.ped().and_then(|ped| ped.seat) else { return };
        if let Some(entity) = self.get_mut(handle) {
            entity.position = position;
            if let Some(ped) = entity.ped_mut() {
                ped.seat = None;
                ped.last_vehicle = vehicle;
            }
        }
        if let Some(vehicle) = self.get_mut(vehicle).and_then(Entity::vehicle_mut) {
            vehicle.seats.remove(&seat);
        }
    }

    /// The player who owns an entity: whose ped it is, or who is nearest in its bucket and not too far away.
    pub(crate) fn owner(&self, entity: &Entity) -> Option<u32> {
        if let Some(player) = entity.ped().and_then(|ped| ped.player) {
            return Some(player);
        }
        let here = self.position(entity);
        let distance = |other: &Entity| {
            let there = self.position(other);
            (here[0] - there[0]).hypot(here[1] - there[1])
        };
        self.iter()
            .filter(|other| other.bucket == entity.bucket)
            .filter_map(|other| Some((distance(other), other.ped()?.player?)))
            .filter(|(distance, player)| *distance <= OWNING_DISTANCE && *player < FIRST_TEMPORARY)
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, player)| player)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(entities: &mut Entities, body: Body, position: [f32; 3]) -> u32 {
        entities.add(false, |handle, id| Entity::new(handle, id, 1, position, body)).unwrap()
    }

    #[test]
    fn ids_do_not_meet() {
        let mut entities = Entities::default();
        let first = add(&mut entities, Body::Object, [0.0; 3]);
        let second = add(&mut entities, Body::Object, [0.0; 3]);
        assert_eq!([first, second], [0x2_0001, 0x2_0002]);
        assert_eq!((entities.networked(65_534), entities.networked(65_533)), (Some(first), Some(second)));
        entities.remove(first);
        assert_eq!((entities.networked(65_534), entities.get(first).is_none()), (None, true));
        entities.last_server_id = LAST_NETWORK_ID;
        let third = add(&mut entities, Body::Object, [0.0; 3]);
        assert_eq!((third, entities.get(third).unwrap().network_id), (0x2_0003, 65_534));
    }

    #[test]
    fn seats_hold_one_ped_each() {
        let mut entities = Entities::default();
        let peds = [(); 2].map(|()| add(&mut entities, Body::Ped(Ped::new(None)), [0.0; 3]));
        let car = add(&mut entities, Body::Vehicle(Vehicle::new("automobile".into(), 1)), [5.0, 0.0, 0.0]);
        let seat = |entities: &Entities, ped: u32| entities.get(ped).unwrap().ped().unwrap().seat;
        entities.enter_vehicle(peds[0], car, -1);
        entities.enter_vehicle(peds[1], car, -2);
        assert_eq!((seat(&entities, peds[0]), seat(&entities, peds[1])), (Some((car, -1)), Some((car, 0))));
        entities.enter_vehicle(peds[1], car, -1);
        assert_eq!((seat(&entities, peds[0]), seat(&entities, peds[1])), (None, Some((car, -1))));
        assert_eq!(entities.get(peds[0]).unwrap().position, [5.0, 0.0, 0.0], "it stands where the car is");
        entities.remove(car);
        assert_eq!(seat(&entities, peds[1]), None);
    }

    #[test]
    fn plates_have_eight_characters() {
        let mut vehicle = Vehicle::new("automobile".into(), 0x2_0001);
        assert_eq!(vehicle.plate.len(), 8);
        assert_eq!(vehicle.plate, Vehicle::new("automobile".into(), 0x2_0001).plate);
        vehicle.set_plate("abc");
        assert_eq!(vehicle.plate, "ABC     ");
        vehicle.set_plate("a very long one");
        assert_eq!(vehicle.plate, "A VERY L");
    }
}
