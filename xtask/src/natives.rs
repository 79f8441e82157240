//! Turns the type definitions that are published for FXServer's JavaScript (`npm pack @citizenfx/server`) into the table
//! of natives that the server host carries: name, kind, hash, parameters, results.
//!
//! The definitions have one type for all numbers. Which are integers and which are not is told here by name, and so is
//! which natives are calls into a client's game (RPC): these have hashes of the game, all others that of their name.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;

const TABLE: &str = "crates/citizen/src/natives/table.tsv";

#[derive(Args)]
pub struct Options {
    /// `natives_server.d.ts` of the package.
    definitions: PathBuf,
}

/// Natives that a server has a client run, with the hash of the game where it is known.
const RPC: &[(&str, u64)] = &[
    ("AddBlipForArea", 0xce5d_0e5e_315d_b238),
    ("AddBlipForCoord", 0x5a03_9bb0_bca6_04b6),
    ("AddBlipForEntity", 0x5cde_92c7_02a8_fce7),
    ("AddBlipForRadius", 0x4681_4ab5_15c3_4e9f),
    ("AddPedDecorationFromHashes", 0x5f5d_1665_e352_a839),
    ("ApplyForceToEntity", 0xc5f6_8be9_613e_2d18),
    ("ApplyPedOverlay", 0x5f5d_1665_e352_a839),
    ("ClearPedProp", 0x0943_e5b8_e078_e76e),
    ("ClearPedSecondaryTask", 0x176c_ecf6_f920_d707),
    ("ClearPedTasks", 0xe1ef_3c12_16af_f2cd),
    ("ClearPedTasksImmediately", 0xaaa3_4f8a_7cb3_2098),
    ("ClearPlayerWantedLevel", 0xb302_540b_97e2_cfac),
    ("CreateObject", 0x509d_5878_eb39_e842),
    ("CreateObjectNoOffset", 0x9a29_4b21_38ab_b884),
    ("CreatePed", 0xd49f_9b09_55c3_67de),
    ("CreatePedInsideVehicle", 0x7dd9_59fc_c1ef_6fdb),
    ("CreateVehicle", 0xaf35_d0d2_5830_51b0),
    ("FreezeEntityPosition", 0x428c_a6db_d109_4446),
    ("GetBlipSprite", 0x1fc8_77e4_64a0_4fc1),
    ("GiveWeaponComponentToPed", 0xd966_d51a_a5b2_8bb9),
    ("GiveWeaponToPed", 0xbf0f_d6e5_6c96_4fcb),
    ("RemoveAllPedWeapons", 0xf25d_f915_fa38_c5f3),
    ("RemoveBlip", 0x86a6_5257_0e5f_25dd),
    ("RemoveWeaponComponentFromPed", 0x1e8b_e90c_74fb_4c09),
    ("RemoveWeaponFromPed", 0x4899_cb08_8edf_59b8),
    ("SetBlipSprite", 0xdf73_5600_a469_6daf),
    ("SetCurrentPedWeapon", 0xadf6_92b2_5497_7c0c),
    ("SetEntityCoords", 0x0684_3da7_060a_026b),
    ("SetEntityHeading", 0x8e25_30aa_8ada_980e),
    ("SetEntityRotation", 0x8524_a8b0_171d_5e07),
    ("SetEntityVelocity", 0x1c99_bb7b_6e96_d16f),
    ("SetPedAmmo", 0x14e5_6bc5_b5db_6a19),
    ("SetPedArmour", 0xcea0_4d83_1352_64cc),
    ("SetPedCanRagdoll", 0xb128_3770_2479_9306),
    ("SetPedComponentVariation", 0x262b_14f4_8d29_de80),
    ("SetPedConfigFlag", 0x1913_fe4c_bf41_c463),
    ("SetPedDecoration", 0x5f5d_1665_e352_a839),
    ("SetPedDefaultComponentVariation", 0x45ee_e61c_ab1a_1a17),
    ("SetPedEyeColor", 0x50b5_6988_b170_afdf),
    ("SetPedFaceFeature", 0x71a5_c1db_a060_049e),
    ("SetPedHairColor", 0x4cff_c65a_f51d_6d5a),
    ("SetPedHairTint", 0x4cff_c65a_f51d_6d5a),
    ("SetPedHeadBlendData", 0x9414_e18b_9434_c2fe),
    ("SetPedHeadOverlay", 0x48f4_4967_fa05_cc1e),
    ("SetPedHeadOverlayColor", 0x497b_f74a_7b9c_b952),
    ("SetPedIntoVehicle", 0xf75b_0d62_9e1c_063d),
    ("SetPedPropIndex", 0x9337_6b65_a266_eb5f),
    ("SetPedRandomComponentVariation", 0xc8a9_481a_01e6_3c28),
    ("SetPedRandomProps", 0xc44a_a05e_345d_4b6d),
    ("SetPedResetFlag", 0xc1e8_a365_bf3b_29f2),
    ("SetPedToRagdoll", 0xae99_fb95_581f_844a),
    ("SetPedToRagdollWithFall", 0xd76a_c0d0_cf1b_7da4),
    ("SetPlayerControl", 0x8d32_347d_6d4c_40a2),
    ("SetPlayerInvincible", 0x2395_28ea_cdc3_e7de),
    ("SetPlayerModel", 0x00a1_cadd_0010_8836),
    ("SetPlayerWantedLevel", 0x39ff_19c6_4ef7_da5b),
    ("SetVehicleAlarm", 0xcde5_e702_5c14_eabd),
    ("SetVehicleBodyHealth", 0xb77d_05ac_8c78_aadb),
    ("SetVehicleColourCombination", 0x33e8_cd38_94c9_2ad3),
    ("SetVehicleColours", 0x4f1d_4be3_a7f2_4601),
    ("SetVehicleCustomPrimaryColour", 0x7141_766f_91d1_5bea),
    ("SetVehicleCustomSecondaryColour", 0x36ce_d73b_fed8_9754),
    ("SetVehicleDirtLevel", 0x79d3_b596_fe44_ee8b),
    ("SetVehicleDoorBroken", 0xd4d4_f6a4_ab57_5a33),
    ("SetVehicleDoorsLocked", 0xb664_292e_aecf_7fa6),
    ("SetVehicleNumberPlateText", 0x95a8_8f0b_409c_da47),
    ("TaskCombatPed", 0xf166_e484_07ba_c484),
    ("TaskDriveBy", 0x2f8a_f0e8_2773_a171),
    ("TaskEnterVehicle", 0xc20e_50aa_46d0_9ca8),
    ("TaskEveryoneLeaveVehicle", 0x7f93_6912_24d5_5c57),
    ("TaskGoStraightToCoord", 0xd76b_57b4_4f1e_6f8b),
    ("TaskGoToCoordAnyMeans", 0x5bc4_48cb_78fa_3e88),
    ("TaskGoToEntity", 0x6a07_1245_eb0d_1882),
    ("TaskHandsUp", 0xf2ea_b31d_9796_72b4),
    ("TaskLeaveAnyVehicle", 0x504d_5426_8889_9639),
    ("TaskLeaveVehicle", 0xd3db_ce61_a490_be02),
    ("TaskPlayAnim", 0xea47_fe37_1916_5b94),
    ("TaskPlayAnimAdvanced", 0x83cd_b10e_a29b_370b),
    ("TaskReactAndFleePed", 0x72c8_9632_0cb7_38ab),
    ("TaskShootAtCoord", 0x46a6_cc01_e064_6063),
    ("TaskShootAtEntity", 0x08da_95e8_2982_77ae),
    ("TaskWarpPedIntoVehicle", 0x9a7d_0914_11c5_f684),
];

/// Parameters that are not whole numbers, by (the end of) their name.
const FLOAT_PARAMETERS: &[&str] = &[
    "x",
    "y",
    "z",
    "X",
    "Y",
    "Z",
    "xPos",
    "yPos",
    "zPos",
    "heading",
    "Heading",
    "radius",
    "speed",
    "Speed",
    "width",
    "height",
    "pitch",
    "roll",
    "yaw",
    "opacity",
    "scale",
    "dirtLevel",
    "distance",
    "fMoveBlendRatio",
    "playbackRate",
    "animTime",
    "Mix",
    "blendInSpeed",
    "blendOutSpeed",
];

/// Natives whose numbers are not whole.
const FLOAT_RESULTS: &[&str] = &[
    "GetAirDragMultiplierForPlayersVehicle",
    "GetConvarFloat",
    "GetEntityHeading",
    "GetEntitySpeed",
    "GetHeliMainRotorDamageScale",
    "GetHeliMainRotorHealth",
    "GetHeliPitchControl",
    "GetHeliRearRotorDamageScale",
    "GetHeliRearRotorHealth",
    "GetHeliRollControl",
    "GetHeliTailRotorDamageScale",
    "GetHeliTailRotorHealth",
    "GetHeliThrottleControl",
    "GetHeliYawControl",
    "GetPedDesiredHeading",
    "GetPlayerMeleeWeaponDamageModifier",
    "GetPlayerWeaponDamageModifier",
    "GetPlayerWeaponDefenseModifier",
    "GetPlayerWeaponDefenseModifier_2",
    "GetResourceKvpFloat",
    "GetThrusterSideRcsThrottle",
    "GetThrusterThrottle",
    "GetTrainCruiseSpeed",
    "GetVehicleBodyHealth",
    "GetVehicleDirtLevel",
    "GetVehicleEngineHealth",
    "GetVehicleFlightNozzlePosition",
    "GetVehiclePetrolTankHealth",
    "GetVehicleSteeringAngle",
];

/// Natives that give a list, where the definitions say `any`.
const LISTS: &[&str] = &[
    "GetAllObjects",
    "GetAllPeds",
    "GetAllVehicles",
    "GetEntitiesInRadius",
    "GetGamePool",
    "GetRegisteredCommands",
    "GetResourceCommands",
    "GetStateBagKeys",
];

pub fn run(options: &Options) -> Result<()> {
    let text = std::fs::read_to_string(&options.definitions)
        .with_context(|| format!("cannot read {}", options.definitions.display()))?;
    let table = table(&text)?;
    std::fs::write(TABLE, &table)?;
    println!("{TABLE}: {} natives", table.lines().count() - 1);
    Ok(())
}

fn table(definitions: &str) -> Result<String> {
    let mut rows = Vec::new();
    for line in definitions.lines().filter_map(|line| line.strip_prefix("declare function ")) {
        if !line.starts_with("N_0x") {
            rows.push(row(line).with_context(|| format!("do not understand {line:?}"))?);
        }
    }
    ensure!(!rows.is_empty(), "no native in the definitions");
    rows.sort();
    Ok(format!("# @generated by `cargo xtask natives`\n{}", rows.concat()))
}

/// `GetEntityCoords(entity: number): number[];` as a row of the table.
fn row(line: &str) -> Result<String> {
    let (name, rest) = line.split_once('(').context("no parameters")?;
    let (parameters, result) = rest.rsplit_once("): ").context("no result")?;
    let rpc = RPC.iter().find(|(known, _)| *known == name);
    let (kind, hash) = match rpc {
        Some((_, hash)) => ("rpc", *hash),
        None => ("cfx", u64::from(joaat(&snake(name)))),
    };
    let mut out = format!("{name}\t{kind}\t0x{hash:08X}\t");
    for (index, parameter) in parameters.split(", ").filter(|text| !text.is_empty()).enumerate() {
        let (parameter, kind) = parameter.split_once(": ").context("a parameter without a type")?;
        let parameter = parameter.trim_end_matches(['?', '_']).trim_start_matches('_');
        let gap = if index > 0 { " " } else { "" };
        write!(out, "{gap}{parameter}:{}", parameter_type(parameter, kind)?)?;
    }
    writeln!(out, "\t{}", result_type(name, result.trim_end_matches(';'))?)?;
    Ok(out)
}

fn parameter_type(name: &str, kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "number" if FLOAT_PARAMETERS.iter().any(|known| is_named(name, known)) => "float",
        "number" => "int",
        "boolean" => "bool",
        "string" if matches!(name, "playerSrc" | "player" | "playerId" | "eventTarget") => "player",
        "string" => "string",
        "string | number" => "hash",
        "Function" => "function",
        "any" => "any",
        other => anyhow::bail!("unknown type {other:?}"),
    })
}

/// Whether a parameter is called `known`, or ends with it as a word of its own: `offX`, `targetHeading`.
fn is_named(name: &str, known: &str) -> bool {
    name == known || (known.starts_with(char::is_uppercase) && name.ends_with(known))
}

fn result_type(name: &str, kind: &str) -> Result<String> {
    let number = if FLOAT_RESULTS.contains(&name) { "float" } else { "int" };
    let one = |kind: &str| -> Result<&str> {
        Ok(match kind.trim() {
            "void" => "void",
            "number" => number,
            "boolean" => "bool",
            "string" => "string",
            "number[]" => "vector3",
            "any" if LISTS.contains(&name) => "list",
            "any" => "any",
            "any /* actually bool */" => "bool",
            other => anyhow::bail!("unknown type {other:?}"),
        })
    };
    match kind.strip_prefix('[').and_then(|kinds| kinds.strip_suffix(']')) {
        Some(kinds) => Ok(kinds.split(',').map(one).collect::<Result<Vec<_>>>()?.join(",")),
        None => one(kind).map(str::to_owned),
    }
}

/// `GetPlayerPed` as `get_player_ped`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Jenkins' one-at-a-time hash.
fn joaat(text: &str) -> u32 {
    let mut hash = text.bytes().fold(0u32, |hash, byte| {
        let hash = hash.wrapping_add(byte.into());
        let hash = hash.wrapping_add(hash << 10);
        hash ^ (hash >> 6)
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_definitions() {
        let check = |line: &str, expected: &str| assert_eq!(row(line).unwrap(), format!("{expected}\n"));
        check(
            "GetEntityCoords(entity: number): number[];",
            "GetEntityCoords\tcfx\t0x1647F1CB\tentity:int\tvector3",
        );
        check(
            "CreatePed(pedType: number, modelHash: string | number, x: number, heading: number, isNetwork: boolean): number;",
            "CreatePed\trpc\t0xD49F9B0955C367DE\tpedType:int modelHash:hash x:float heading:float isNetwork:bool\tint",
        );
        check("CancelEvent(): void;", "CancelEvent\tcfx\t0xFA29D35D\t\tvoid");
        assert!(row("Broken(a: Thing): void;").is_err());
    }
}
