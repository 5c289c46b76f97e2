//! What all SMTP connections share, and what the settings mean for them.

use std::sync::Arc;

use pillarbox_office::Office;
use pillarbox_office::auth::SignIns;
use pillarbox_office::condition::Condition;
use pillarbox_office::submission::SubmissionAgent;
use pillarbox_platform::config::{Config, Derived, Live, seconds};
use pillarbox_platform::connections::Connections;
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::Certificates;
use pillarbox_proto::smtp;

/// What all SMTP connections share.
pub struct Edge {
    pub settings: Live,
    pub certificates: Arc<Certificates>,
    pub connections: Arc<Connections>,
    pub sign_ins: Arc<SignIns>,
    pub condition: Arc<Condition>,
    pub submission: Arc<SubmissionAgent>,
    pub tasks: Tasks,
    pub profiles: Derived<Profiles>,
}

/// What the settings mean for a session, by service.
pub struct Profiles {
    pub smtp: Arc<smtp::Config>,
    pub submission: Arc<smtp::Config>,
    pub submissions: Arc<smtp::Config>,
}

impl Profiles {
    pub fn new(config: &Config) -> Profiles {
        let profile = |role, starttls| Arc::new(profile(config, role, starttls));
        Profiles {
            smtp: profile(smtp::Role::Mta, smtp::Offer::Yes),
            submission: profile(smtp::Role::Submission, smtp::Offer::Yes),
            submissions: profile(smtp::Role::Submission, smtp::Offer::No),
        }
    }
}

fn profile(config: &Config, role: smtp::Role, starttls: smtp::Offer) -> smtp::Config {
    let limits = smtp::Limits {
        command_line: config.limits.command_line,
        message_octets: config.limits.message_octets,
        recipients: config.limits.recipients,
        messages: config.limits.messages,
        errors: config.limits.errors,
        commands: config.limits.commands,
        received_headers: config.limits.received_fields,
        failed_logins: config.limits.failed_logins,
        timeouts: smtp::Timeouts {
            command: seconds(config.timeouts.smtp_command),
            data_initiation: seconds(config.timeouts.smtp_data),
            data_block: seconds(config.timeouts.smtp_data),
        },
        ..smtp::Limits::default()
    };
    smtp::Config { hostname: config.hostname(), role, starttls, limits }
}

impl Edge {
    pub fn new(office: &Office) -> Edge {
        Edge {
            settings: office.settings.clone(),
            certificates: office.certificates.clone(),
            connections: office.connections.clone(),
            sign_ins: office.sign_ins.clone(),
            condition: office.condition.clone(),
            submission: office.submission.clone(),
            tasks: office.handles.tasks.clone(),
            profiles: Derived::default(),
        }
    }
}
