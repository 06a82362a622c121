//! The layer rule: which crate may use which, and what may not appear in the lower layers.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::source;

/// One crate of the table. Adapters and everything above may meet threads, clocks and sockets; see [`PURE_LAYERS`].
struct Place {
    name: &'static str,
    layer: Layer,
    uses: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layer {
    Formats = 0,
    Machines = 1,
    Applications = 2,
    Adapters = 3,
    Assemblies = 4,
    Program = 5,
    /// Seen by no other crate, except in its tests.
    Test = 6,
    /// Builds nothing of the product.
    Tool = 7,
}

/// A package of the workspace, as `cargo metadata` tells it.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    test_only: bool,
}

/// Reads the packages out of the answer of `cargo metadata --no-deps`.
pub(crate) fn packages(metadata: &Value) -> Result<Vec<Package>, &'static str> {
    let list = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    list.iter().map(|value| package(value).ok_or("cargo metadata has a package without name")).collect()
}

fn package(value: &Value) -> Option<Package> {
    let manifest = Path::new(value["manifest_path"].as_str()?);
    let dependencies = value["dependencies"].as_array()?.iter().filter_map(|dependency| {
        let test_only = dependency["kind"].as_str() == Some("dev");
        Some(Dependency { name: dependency["name"].as_str()?.to_owned(), test_only })
    });
    Some(Package {
        name: value["name"].as_str()?.to_owned(),
        folder: manifest.parent()?.to_path_buf(),
        dependencies: dependencies.collect(),
    })
}

/// Every dependency that the table does not allow, one line each.
pub(crate) fn edges(packages: &[Package]) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in packages {
        let Some(place) = place(&package.name) else {
            breaches
                .push(format!("{}: not in the table of xtask/src/layers.rs: give it a layer", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            breaches.extend(breach(place, dependency).map(|why| format!("{}: {why}", package.name)));
        }
    }
    breaches
}

fn breach(from: &Place, dependency: &Dependency) -> Option<String> {
    let Some(to) = place(&dependency.name) else {
        let outside = &dependency.name.as_str();
        let pure = PURE_LAYERS.contains(&from.layer) && BANNED_CRATES.contains(outside);
        return pure.then(|| format!("{outside} may not be used below layer 3"));
    };
    if to.layer == Layer::Test {
        return (!dependency.test_only).then(|| format!("{} is for tests only", to.name));
    }
    let allowed = from.uses.contains(&to.name);
    (!allowed).then(|| format!("may not use {} (the table of xtask/src/layers.rs)", to.name))
}

/// Words in the code that break the rule although no dependency shows it.
pub(crate) fn forbidden_code(package: &Package, file: &Path, text: &str) -> Vec<String> {
    let pure = place(&package.name).is_some_and(|place| PURE_LAYERS.contains(&place.layer));
    let service = package.name == "offhook-exchange" && file.starts_with(package.folder.join("src/services"));
    let mut breaches = Vec::new();
    for (number, line) in source::code_only(text).lines().enumerate() {
        let mut refuse = |word: &str, why: &str| {
            if contains_word(line, word) {
                breaches.push(format!("{}:{}: {word}: {why}", file.display(), number + 1));
            }
        };
        if pure {
            THREAD_RANDOMNESS.iter().for_each(|word| refuse(word, "randomness is an argument below layer 3"));
        }
        if service {
            refuse("offhook_sip", "a service builds no SIP: add a verb or a field of Call");
        }
    }
    breaches
}

/// Whether `word` stands in `line` with no letter right before or after it.
fn contains_word(line: &str, word: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).is_some_and(|i| source::is_word(bytes[i]));
        let after = bytes.get(at + word.len()).is_some_and(|&b| source::is_word(b));
        !before && !after
    })
}

fn place(name: &str) -> Option<&'static Place> {
    TABLE.iter().find(|place| place.name == name)
}

/// Layers that see no clock, socket, thread or database.
const PURE_LAYERS: [Layer; 3] = [Layer::Formats, Layer::Machines, Layer::Applications];

const BANNED_CRATES: [&str; 8] =
    ["tokio", "mio", "async-std", "smol", "sqlx", "rusqlite", "getrandom", "fastrand"];

const THREAD_RANDOMNESS: [&str; 6] =
    ["rand::rng", "rand::random", "thread_rng", "ThreadRng", "OsRng", "SysRng"];

/// The arrows of ARCHITECTURE.md. A crate may also use the formats below what it may use.
const TABLE: [Place; 18] = [
    Place { name: "offhook-sip", layer: Layer::Formats, uses: &[] },
    Place { name: "offhook-sdp", layer: Layer::Formats, uses: &[] },
    Place { name: "offhook-rtp", layer: Layer::Formats, uses: &[] },
    Place { name: "offhook-udp-batch", layer: Layer::Formats, uses: &[] },
    Place { name: "offhook-memory", layer: Layer::Formats, uses: &[] },
    Place { name: "offhook-sip-stack", layer: Layer::Machines, uses: &["offhook-sip"] },
    Place { name: "offhook-media", layer: Layer::Machines, uses: &["offhook-rtp", "offhook-sdp"] },
    Place {
        name: "offhook-exchange",
        layer: Layer::Applications,
        uses: &["offhook-sip", "offhook-sdp", "offhook-rtp", "offhook-sip-stack", "offhook-media"],
    },
    Place {
        name: "offhook-ua",
        layer: Layer::Applications,
        uses: &["offhook-sip", "offhook-sdp", "offhook-rtp", "offhook-sip-stack", "offhook-media"],
    },
    Place {
        name: "offhook-net",
        layer: Layer::Adapters,
        uses: &["offhook-sip", "offhook-udp-batch", "offhook-sip-stack", "offhook-media"],
    },
    Place { name: "offhook-camera", layer: Layer::Adapters, uses: &["offhook-media"] },
    Place {
        name: "offhook-store",
        layer: Layer::Adapters,
        uses: &["offhook-sip", "offhook-sip-stack", "offhook-exchange"],
    },
    Place {
        name: "offhook-web",
        layer: Layer::Adapters,
        uses: &["offhook-sip", "offhook-sip-stack", "offhook-exchange"],
    },
    Place {
        name: "offhook-server",
        layer: Layer::Assemblies,
        uses: &[
            "offhook-sip",
            "offhook-sdp",
            "offhook-rtp",
            "offhook-udp-batch",
            "offhook-sip-stack",
            "offhook-media",
            "offhook-exchange",
            "offhook-net",
            "offhook-camera",
            "offhook-store",
            "offhook-web",
            "offhook-memory",
        ],
    },
    Place {
        name: "offhook-phone",
        layer: Layer::Assemblies,
        uses: &[
            "offhook-sip",
            "offhook-sdp",
            "offhook-rtp",
            "offhook-udp-batch",
            "offhook-sip-stack",
            "offhook-media",
            "offhook-ua",
            "offhook-net",
        ],
    },
    Place {
        name: "offhook",
        layer: Layer::Program,
        uses: &["offhook-server", "offhook-phone", "offhook-web", "offhook-memory"],
    },
    Place {
        name: "offhook-sim",
        layer: Layer::Test,
        uses: &[
            "offhook-sip",
            "offhook-sdp",
            "offhook-rtp",
            "offhook-sip-stack",
            "offhook-media",
            "offhook-exchange",
            "offhook-ua",
            "offhook-store",
        ],
    },
    Place { name: "xtask", layer: Layer::Tool, uses: &[] },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|&(name, test_only)| Dependency { name: name.to_owned(), test_only })
            .collect();
        Package { name: name.to_owned(), folder: PathBuf::from("/w"), dependencies }
    }

    #[test]
    fn every_arrow_of_the_table_points_down() {
        for from in &TABLE {
            for name in from.uses {
                let to = place(name).unwrap_or_else(|| panic!("{name} is not in the table"));
                assert!((to.layer as u8) < (from.layer as u8), "{} -> {name}", from.name);
            }
        }
    }

    #[test]
    fn an_arrow_up_or_sideways_is_a_breach() {
        assert_eq!(edges(&[made("offhook-sip-stack", &[("offhook-exchange", false)])]).len(), 1);
        assert_eq!(edges(&[made("offhook-phone", &[("offhook-server", false)])]).len(), 1);
        assert_eq!(edges(&[made("offhook-sip-stack", &[("offhook-sip", false)])]), Vec::<String>::new());
    }

    #[test]
    fn the_simulator_is_used_by_tests_only() {
        assert_eq!(edges(&[made("offhook-server", &[("offhook-sim", false)])]).len(), 1);
        assert!(edges(&[made("offhook-server", &[("offhook-sim", true)])]).is_empty());
    }

    #[test]
    fn sockets_and_sql_stay_above_layer_two() {
        assert_eq!(edges(&[made("offhook-exchange", &[("tokio", false), ("sqlx", true)])]).len(), 2);
        assert!(edges(&[made("offhook-store", &[("tokio", false), ("sqlx", false)])]).is_empty());
    }

    #[test]
    fn a_package_without_a_place_is_a_breach() {
        assert_eq!(edges(&[made("offhook-extra", &[])]).len(), 1);
    }

    #[test]
    fn a_service_may_not_name_the_sip_crate() {
        let exchange = made("offhook-exchange", &[]);
        let text =
            "use offhook_sip::Request;\n// offhook_sip in a comment\nuse offhook_sip_stack::Context;\n";
        let service = Path::new("/w/src/services/call_park.rs");
        assert_eq!(forbidden_code(&exchange, service, text).len(), 1);
        assert!(forbidden_code(&exchange, Path::new("/w/src/core.rs"), text).is_empty());
    }

    #[test]
    fn thread_randomness_is_found_in_pure_layers_only() {
        let text = "let x = rand::rng().next_u32(); let y = rand::rngs::SmallRng::seed_from_u64(1);";
        let file = Path::new("/w/src/lib.rs");
        assert_eq!(forbidden_code(&made("offhook-sip-stack", &[]), file, text).len(), 1);
        assert!(forbidden_code(&made("offhook-server", &[]), file, text).is_empty());
    }

    #[test]
    fn packages_are_read_from_cargo_metadata() {
        let metadata = serde_json::json!({ "packages": [{
            "name": "offhook-sip", "manifest_path": "/w/crates/sip/Cargo.toml",
            "dependencies": [{ "name": "proptest", "kind": "dev" }, { "name": "bytes", "kind": null }],
        }]});
        let read = packages(&metadata).unwrap();
        assert_eq!(read[0].folder, Path::new("/w/crates/sip"));
        assert_eq!(read[0].dependencies.iter().filter(|d| d.test_only).count(), 1);
    }
}
