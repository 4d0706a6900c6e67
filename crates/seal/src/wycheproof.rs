//! Vectors of Project Wycheproof.
