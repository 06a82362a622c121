//! `offhook camera`: cameras and door stations.

use clap::Subcommand;

use crate::account::Flags;
use crate::api::{Api, segment};
use crate::exit::Failure;
use crate::print;

/// What to do with cameras.
#[derive(Subcommand, Debug)]
pub(crate) enum Camera {
    /// Lists the cameras, how they are, and what of them is left out
    #[command(after_help = "Example: offhook camera list --json")]
    List {
        #[command(flatten)]
        common: Flags,
    },
    /// Makes a camera call those whom its button calls
    #[command(after_help = "Example: offhook camera ring \"Front door\"")]
    Ring {
        /// Its name
        camera: String,
        #[command(flatten)]
        common: Flags,
    },
}

impl Camera {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { common } => list(&common),
            Self::Ring { camera, common } => ring(&camera, &common),
        }
    }
}

fn list(common: &Flags) -> Result<(), Failure> {
    let answer = Api::of_running(&common.place)?.ask("GET", "/api/v1/cameras", None)?;
    if common.json {
        print::line(&answer.to_string());
    } else {
        print::objects(&answer, "cameras", &COLUMNS);
    }
    Ok(())
}

fn ring(camera: &str, common: &Flags) -> Result<(), Failure> {
    let path = format!("/api/v1/cameras/{}/ring", segment(camera));
    let answer = Api::of_running(&common.place)?.ask("POST", &path, None)?;
    match common.json {
        true => print::line(&answer.to_string()),
        false => print::line(&format!("{camera} rings")),
    }
    Ok(())
}

const COLUMNS: [(&str, &str); 6] = [
    ("CAMERA", "name"),
    ("NUMBER", "number"),
    ("STATE", "state"),
    ("CALLS", "calls"),
    ("LEFT OUT", "left_out"),
    ("ERROR", "error"),
];
