//! The phone's registration: from the user's wish to the usage below.

use offhook_sip::{Status, Uri};
use offhook_sip_stack::Flow;
use offhook_sip_stack::usage::{Registration, RegistrationEvent, RegistrationSettings, UsageId};

use crate::env::{Env, Way};
use crate::{Event, QuestionId};

/// The usage of the registration.
pub(crate) const REGISTRATION: UsageId = UsageId(0);

/// What is left of the phone's registration.
#[derive(Debug, Default)]
pub(crate) struct Registrar {
    pub(crate) usage: Option<Registration>,
    /// The question that the first REGISTER waits for.
    pub(crate) question: Option<QuestionId>,
}

impl Registrar {
    pub(crate) fn register(&mut self, env: &mut Env<'_, '_>) {
        let Some(target) = env.config.registrar.clone() else {
            return failed(Status::NOT_FOUND, "No registrar is configured", env);
        };
        let routes: Vec<_> = env.proxy().into_iter().collect();
        match env.way(&target, &routes) {
            Ok(Way::Flows(flows)) => self.start(flows, env),
            Ok(Way::Asked(question)) => self.question = Some(question),
            Err(status) => failed(status, status.reason(), env),
        }
    }

    /// Registers on the first of these flows.
    pub(crate) fn start(&mut self, flows: Vec<Flow>, env: &mut Env<'_, '_>) {
        self.question = None;
        let settings = flows.first().and_then(|flow| env.settings(flow));
        let (Some(settings), Some(target)) = (settings, env.config.registrar.clone()) else {
            return failed(Status::SERVICE_UNAVAILABLE, "No address", env);
        };
        if self.usage.is_none() {
            let what = RegistrationSettings {
                registrar: domain(target),
                address: env.identity(),
                routes: env.proxy().into_iter().collect(),
                expires: u32::try_from(env.config.registration_expires.as_secs()).unwrap_or(u32::MAX).max(1),
                headers: env.config.headers.clone(),
            };
            self.usage = Some(Registration::new(REGISTRATION, what, settings, &mut env.stack));
        }
        if let Some(usage) = &mut self.usage {
            usage.register(flows, &mut env.stack);
        }
    }

    /// Our addresses are others.
    pub(crate) fn moved(&mut self, env: &mut Env<'_, '_>) {
        let Some(usage) = &mut self.usage else { return };
        let flows: Vec<Flow> = usage.flows().iter().filter_map(|flow| env.moved(flow)).collect();
        if let Some(settings) = flows.first().and_then(|flow| env.settings(flow)) {
            usage.moved(settings, flows, &mut env.stack);
        }
    }

    pub(crate) fn unregister(&mut self, env: &mut Env<'_, '_>) {
        self.question = None;
        match &mut self.usage {
            Some(usage) => usage.unregister(&mut env.stack),
            None => env.event(Event::Unregistered),
        }
    }

    pub(crate) fn event(&mut self, event: RegistrationEvent, env: &mut Env<'_, '_>) {
        match event {
            RegistrationEvent::Registered { expires, service_route } => {
                *env.service_route = service_route;
                env.event(Event::Registered { expires });
            }
            RegistrationEvent::Unregistered => {
                env.service_route.clear();
                env.event(Event::Unregistered);
            }
            RegistrationEvent::Failed { status, reason, retry_after } => {
                env.event(Event::RegistrationFailed { code: status.code(), reason, retry_after });
            }
        }
    }
}

fn failed(status: Status, reason: &str, env: &mut Env<'_, '_>) {
    env.event(Event::RegistrationFailed {
        code: status.code(),
        reason: reason.to_owned(),
        retry_after: None,
    });
}

/// The Request-URI of REGISTER has no user part (RFC 3261 §10.2).
fn domain(registrar: Uri) -> Uri {
    match registrar {
        Uri::Sip(uri) => {
            let mut bare = offhook_sip::SipUri::new(None, uri.host().clone());
            if let Some(port) = uri.port() {
                bare = bare.with_port(port);
            }
            if let Some(transport) = uri.param("transport") {
                bare = bare.with_param("transport", Some(transport));
            }
            Uri::Sip(if uri.secure() { bare.with_secure() } else { bare })
        }
        other => other,
    }
}
