//! `[[camera]]`: cameras and door stations that are called, and that call others.

use std::time::Duration;

use offhook_camera::Source;
use offhook_exchange::services::{Camera, Group};
use offhook_media::camera::{CameraId, Coding};

use super::Meaning;
use super::account::reveal;
use super::group::{number, shown, time};
use super::plan::{Wrong, mistake, text, texts};
use crate::config_file::{Object, Secret, Value};

impl Meaning<'_> {
    /// What the exchange knows of them.
    pub(super) fn cameras(&mut self, groups: &[Group]) -> Vec<Camera> {
        let mut cameras: Vec<Camera> = Vec::new();
        for (id, object) in self.written.objects.iter().filter(|one| one.list == "camera").enumerate() {
            match camera(CameraId(id as u32), object, groups) {
                Ok(one) if cameras.iter().any(|other| other.name == one.name) => {
                    self.mistakes.push(mistake(object, "name", format!("{} is declared twice", one.name)));
                }
                Ok(one) if cameras.iter().any(|other| other.number == one.number) => {
                    let what = format!("{} is the number of a [[camera]] already", one.number);
                    self.mistakes.push(mistake(object, "number", what));
                }
                Ok(one) if groups.iter().any(|group| group.number == one.number) => {
                    let what = format!("{} is the number of a [[group]] already", one.number);
                    self.mistakes.push(mistake(object, "number", what));
                }
                Ok(one) => cameras.push(one),
                // What could not be read has been told of already.
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        cameras
    }

    /// Where they are.
    pub(super) fn camera_sources(&mut self) -> Vec<Source> {
        let mut sources = Vec::new();
        for (id, object) in self.written.objects.iter().filter(|one| one.list == "camera").enumerate() {
            match source(CameraId(id as u32), object) {
                Ok(one) => sources.push(one),
                Err(_) if !object.complete => {}
                Err((key, what)) => self.mistakes.push(mistake(object, key, what)),
            }
        }
        sources
    }
}

fn camera(id: CameraId, object: &Object, groups: &[Group]) -> Result<Camera, Wrong> {
    let name = text(object, "name").ok_or(("name", "this [[camera]] has no name".to_owned()))?;
    shown(&name).map_err(|what| ("name", what))?;
    let mut calls: Vec<String> = Vec::new();
    for one in texts(object, "calls") {
        match groups.iter().find(|group| group.number == one) {
            Some(group) => calls.extend(group.members.iter().cloned()),
            None => calls.push(one),
        }
    }
    if calls.len() > MOST_CALLED {
        return Err(("calls", format!("a camera calls at most {MOST_CALLED} accounts")));
    }
    let number = number(object, "camera")?;
    if calls.contains(&number) {
        return Err(("calls", "that is the camera itself".into()));
    }
    let rings_for = time(object, "rings_for", RINGS_FOR)?;
    Ok(Camera { id, name, number, coding: coding(object), calls, rings_for })
}

fn coding(object: &Object) -> Option<Coding> {
    match text(object, "video").as_deref() {
        Some("h265") => Some(Coding::H265),
        Some("off") => None,
        _ => Some(Coding::H264),
    }
}

fn source(id: CameraId, object: &Object) -> Result<Source, Wrong> {
    let url = text(object, "url").ok_or(("url", "this [[camera]] has no url".to_owned()))?;
    let name = text(object, "name").unwrap_or_default();
    let credentials = match (text(object, "username"), password(object)?) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (Some(_), None) => return Err(("username", "this user name needs its password".into())),
        (None, Some(_)) => return Err(("password", "this password needs its user name: username".into())),
    };
    Source::new((id, name), &url, coding(object), credentials).map_err(|error| ("url", error.to_string()))
}

fn password(object: &Object) -> Result<Option<String>, Wrong> {
    let given = object.values.get("password").map(|entry| &entry.value);
    match (given, text(object, "password_file")) {
        (Some(_), Some(_)) => Err(("password_file", "password is given already".into())),
        (Some(Value::Secret(secret)), None) => {
            reveal(secret, &object.place).map(Some).map_err(|what| ("password", what))
        }
        (_, Some(path)) => {
            let secret = Secret::File(path);
            reveal(&secret, &object.place).map(Some).map_err(|what| ("password_file", what))
        }
        (_, None) => Ok(None),
    }
}

const RINGS_FOR: Duration = Duration::from_secs(30);
const MOST_CALLED: usize = 100;

#[cfg(test)]
mod tests;
