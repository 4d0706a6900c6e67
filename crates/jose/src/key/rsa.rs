//! What an RSA key must be.

use aws_lc_rs::signature::{ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use super::KeyError;

/// The key of these big-endian numbers, if it is one to rely on. Leading zeros are ignored.
pub(super) fn parse(
    parameters: &'static RsaParameters,
    modulus: &[u8],
    exponent: &[u8],
) -> Result<ParsedPublicKey, KeyError> {
    let modulus = without_leading_zeros(modulus);
    let exponent = without_leading_zeros(exponent);
    if !is_odd(modulus) || !(2_048..=8_192).contains(&bits(modulus)) {
        return Err(KeyError::RsaModulus);
    }
    if !is_odd(exponent) || !(2..=33).contains(&bits(exponent)) {
        return Err(KeyError::RsaExponent);
    }
    if has_roca_fingerprint(modulus) {
        return Err(KeyError::Roca);
    }
    RsaPublicKeyComponents { n: modulus, e: exponent }.to_parsed_public_key(parameters).map_err(|_| KeyError::Numbers)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

fn bits(number: &[u8]) -> u32 {
    let bytes = u32::try_from(number.len()).unwrap_or(u32::MAX);
    number.first().map_or(0, |first| bytes.saturating_mul(8).saturating_sub(first.leading_zeros()))
}

/// The primes of the vulnerable generator's product M for keys from 2048 bits, without those modulo which every
/// residue is a power of 65537 and which therefore tell nothing.
const ROCA_PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// The generator of CVE-2017-15361 made primes of the form `k·M + (65537^a mod M)`, so that modulo each prime factor
/// of M the modulus is a power of 65537. A sound modulus looks like that once in about 2^27 times.
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.into_iter().all(|prime| {
        let residue = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        is_power_of_65537(residue, prime)
    })
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * 65_537 % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;

    use super::*;

    fn refusal(modulus: &[u8], exponent: &[u8]) -> Option<KeyError> {
        parse(&RSA_PKCS1_2048_8192_SHA256, modulus, exponent).err()
    }

    #[test]
    fn a_modulus_has_2048_to_8192_bits_and_is_odd() {
        let mut modulus = vec![0xff; 256];
        assert_eq!(refusal(&modulus, &[1, 0, 1]), None);
        assert_eq!(refusal(&[&[0, 0], modulus.as_slice()].concat(), &[0, 1, 0, 1]), None);
        assert_eq!(refusal(&vec![0xff; 1_025], &[1, 0, 1]), Some(KeyError::RsaModulus));
        modulus[0] = 0x7f;
        assert_eq!(refusal(&modulus, &[1, 0, 1]), Some(KeyError::RsaModulus));
        modulus[0] = 0xff;
        modulus[255] = 0xfe;
        assert_eq!(refusal(&modulus, &[1, 0, 1]), Some(KeyError::RsaModulus));
        assert_eq!(refusal(&[], &[1, 0, 1]), Some(KeyError::RsaModulus));
    }

    #[test]
    fn an_exponent_is_odd_above_one_and_below_two_to_the_33rd() {
        for exponent in [[].as_slice(), &[0], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1; 6]] {
            assert_eq!(refusal(&[0xff; 256], exponent), Some(KeyError::RsaExponent), "{exponent:?}");
        }
        for exponent in [[3].as_slice(), &[17], &[1, 0, 1], &[1, 0, 0, 0, 1]] {
            assert_eq!(refusal(&[0xff; 256], exponent), None, "{exponent:?}");
        }
    }

    #[test]
    fn powers_of_65537_are_told_from_other_residues() {
        // 65537 = 10 modulo 11, so its powers are 10 and 1.
        let powers: Vec<u32> = (0..11).filter(|residue| is_power_of_65537(*residue, 11)).collect();
        assert_eq!(powers, [1, 10]);
        assert!(!ROCA_PRIMES.into_iter().any(|prime| (1..prime).all(|residue| is_power_of_65537(residue, prime))));
    }
}
