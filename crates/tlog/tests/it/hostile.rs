//! Hostile input: no parser or verifier panics, and what parses renders to the same bytes.

use proptest::prelude::*;
use tlog::note::{self, Signer, VerifierKey};
use tlog::{Checkpoint, Frontier, Hash, Proof, subtree, tile, verify_consistency, verify_inclusion};

/// Good texts of every format, to be damaged.
fn a_good_text() -> impl Strategy<Value = String> {
    let signer = Signer::from_seed("log.example", [1; 32]).unwrap();
    let root = Hash::EMPTY_ROOT;
    let text = Checkpoint { origin: "log.example/t/1".into(), size: 1, root }.to_text();
    let checkpoint = signer.sign(&text) + &Signer::from_seed("witness", [2; 32]).unwrap().signature_line(&text);
    let proof = Proof { extra: Some(vec![0; 9]), index: 0, hashes: vec![root; 3], checkpoint: checkpoint.clone() };
    let path = tile::Coord { level: 1, index: 1_234_067, width: 5 }.path();
    prop::sample::select(vec![
        text,
        checkpoint,
        proof.render(),
        signer.verifier().to_string(),
        path,
        tile::entries_path(1_000_000, 256),
    ])
}

/// A good text with a few characters replaced, removed or added; or anything.
fn a_text() -> impl Strategy<Value = String> {
    let character =
        prop_oneof![prop::sample::select("\n\n\n —+=/0129xp.AQ\r\t\u{0}".chars().collect::<Vec<_>>()), any::<char>(),];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(character), any::<bool>()), 0..4);
    let damaged = (a_good_text(), edits).prop_map(|(text, edits)| {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, character, replace) in edits {
            let at = at.index(characters.len());
            if replace && characters.len() > 1 {
                characters.remove(at);
            }
            characters.splice(at..at, character);
        }
        characters.into_iter().collect()
    });
    prop_oneof![4 => damaged, 1 => any::<String>(), 1 => "(?s).{0,40}\n\n(— .{0,10} .{0,10}\n){0,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_text_that_parses_renders_to_itself(text in a_text()) {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_text(), text.as_str());
        }
        if let Ok(proof) = Proof::parse(&text) {
            prop_assert_eq!(proof.render(), text.as_str());
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text.as_str());
        }
        if let Ok(coord) = tile::Coord::parse(&text) {
            prop_assert_eq!(coord.path(), text.as_str());
        }
        if let Ok((index, width)) = tile::parse_entries_path(&text) {
            prop_assert_eq!(tile::entries_path(index, width), text.as_str());
        }
        let key = Signer::from_seed("log.example", [1; 32]).unwrap().verifier().clone();
        if let Ok(opened) = note::open(&text, std::slice::from_ref(&key)) {
            prop_assert!(text.starts_with(opened.text));
            prop_assert_eq!(opened.verified_by, [&key]);
        }
    }

    #[test]
    fn bytes_that_parse_render_to_themselves(bytes: Vec<u8>, width: u16) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes.as_slice());
            let _ = frontier.root();
        }
        if let Ok(entries) = tile::decode_bundle(&bytes, width) {
            prop_assert_eq!(tile::encode_bundle(&entries).unwrap(), bytes.as_slice());
        }
        if let Ok(hashes) = tile::decode(&bytes, width) {
            prop_assert_eq!(tile::encode(&hashes), bytes.as_slice());
        }
    }

    #[test]
    fn a_frontier_of_any_size_survives_its_bytes(size in 0_u64..1 << 63, byte: u8) {
        let roots = vec![[byte; 32]; size.count_ones() as usize].concat();
        let bytes = [size.to_be_bytes().as_slice(), &roots].concat();
        let mut frontier = Frontier::from_bytes(&bytes).unwrap();
        prop_assert_eq!(frontier.to_bytes(), bytes);
        frontier.append(Hash::from_bytes([byte; 32]));
        prop_assert_eq!(frontier.size(), size + 1);
        prop_assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).is_ok(), size + 1 < 1 << 63);
    }

    #[test]
    fn bundles_survive_their_bytes(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..=256)) {
        let bytes = tile::encode_bundle(&entries).unwrap();
        let decoded = tile::decode_bundle(&bytes, u16::try_from(entries.len()).unwrap()).unwrap();
        prop_assert_eq!(decoded, entries);
    }

    #[test]
    fn no_size_or_proof_makes_a_verifier_panic_or_agree(
        one in a_number(), two in a_number(), three in a_number(), hashes in 0_usize..70,
    ) {
        let proof = vec![Hash::from_bytes([1; 32]); hashes];
        let (hash, root) = (Hash::from_bytes([2; 32]), Hash::from_bytes([3; 32]));
        prop_assert!(verify_inclusion(&hash, one, two, &proof, &root).is_err());
        prop_assert!(verify_consistency(one, two, &proof, &hash, &root).is_err());
        prop_assert!(subtree::verify_inclusion(&hash, three, one..two, &proof, &root).is_err());
        prop_assert!(subtree::verify_consistency(one..two, three, &proof, &hash, &root).is_err());
    }

    #[test]
    fn tile_coordinates_are_right_at_any_size(size in a_number(), level: u8, index in a_number()) {
        if let Some(coord) = tile::at(size, level, index) {
            prop_assert!(coord.width >= 1 && u64::from(coord.width) <= tile::WIDTH);
            prop_assert_eq!(tile::Coord::parse(&coord.path()), Ok(coord));
        }
        prop_assert!(tile::tiles(size).take(3).all(|coord| coord.level < 8));
    }
}

/// Numbers of every magnitude, and those at the edges.
fn a_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift),
        (0_u32..64).prop_map(|shift| 1 << shift),
        (0_u32..64).prop_map(|shift| (1_u64 << shift) - 1),
        Just(u64::MAX),
    ]
}
