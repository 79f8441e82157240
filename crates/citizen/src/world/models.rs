//! Which of the game's own vehicle models are no cars: a server leaves that to the client that makes the vehicle.

use crate::values::hash::joaat;

/// The models that are not automobiles, by the word that a server has for their kind.
const MODELS: [(&str, &str); 7] = [
    (
        "bike",
        "akuma avarus bagger bati bati2 bf400 bmx carbonrs chimera cliffhanger cruiser daemon daemon2 defiler \
         deathbike deathbike2 deathbike3 diablous diablous2 double enduro esskey faggio faggio2 faggio3 fcr fcr2 fixter \
         gargoyle hakuchou hakuchou2 hexer innovation lectro manchez manchez2 manchez3 nemesis nightblade oppressor \
         oppressor2 pcj policeb policeb2 powersurge ratbike reever rrocket ruffian sanchez sanchez2 sanctus scorcher \
         shinobi shotaro sovereign stryder thrust tribike tribike2 tribike3 vader vindicator vortex wolfsbane zombiea \
         zombieb inductor inductor2 pizzaboy",
    ),
    (
        "boat",
        "dinghy dinghy2 dinghy3 dinghy4 dinghy5 jetmax longfin marquis patrolboat predator seashark seashark2 seashark3 \
         speeder speeder2 squalo suntrap toro toro2 tropic tropic2 tug",
    ),
    (
        "heli",
        "akula annihilator annihilator2 buzzard buzzard2 cargobob cargobob2 cargobob3 cargobob4 conada conada2 frogger \
         frogger2 havok hunter maverick polmav savage seasparrow seasparrow2 seasparrow3 skylift supervolito \
         supervolito2 swift swift2 valkyrie valkyrie2 volatus",
    ),
    (
        "plane",
        "alkonost alphaz1 avenger avenger2 avenger3 avenger4 besra blimp blimp2 blimp3 bombushka cargoplane cargoplane2 \
         cuban800 dodo duster howard hydra jet lazer luxor luxor2 mammatus microlight miljet mogul molotok nimbus nokota \
         pyro raiju rogue seabreeze shamal starling streamer216 strikeforce stunt titan titan2 tula velum velum2 vestra \
         volatol",
    ),
    ("submarine", "avisa kosatka submersible submersible2"),
    (
        "trailer",
        "armytanker armytrailer armytrailer2 baletrailer boattrailer docktrailer freighttrailer graintrailer proptrailer \
         raketrailer tanker tanker2 tr2 tr3 tr4 trailerlarge trailerlogs trailers trailers2 trailers3 trailers4 \
         trailersmall trailersmall2 trflat tvtrailer",
    ),
    (
        "train",
        "cablecar freight freight2 freightcar freightcar2 freightcar3 freightcont1 freightcont2 freightgrain metrotrain \
         tankercar",
    ),
];

/// The kind of a vehicle that a client makes: `automobile` for models that are not known.
pub(crate) fn kind(model: u32) -> &'static str {
    let is_of =
        |names: &str| names.split_whitespace().any(|name| joaat(name.as_bytes()).cast_unsigned() == model);
    MODELS.iter().find(|(_, names)| is_of(names)).map_or("automobile", |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_by_their_hash() {
        let check = |name: &str, expected| assert_eq!(kind(joaat(name.as_bytes()).cast_unsigned()), expected);
        check("adder", "automobile");
        check("bati", "bike");
        check("maverick", "heli");
        check("freight", "train");
        check("trailersmall", "trailer");
        assert_eq!(kind(0), "automobile");
    }
}
