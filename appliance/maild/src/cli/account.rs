//! `pillarbox account`: people, passwords, devices.
//! Passwords come from standard input or are made here and shown once; they never stand on the command line, where
//! others could see them.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand, ValueEnum};
use pillarbox_platform::clock;
use pillarbox_store::{
    AddDevice, DeviceId, FolderId, MailboxPolicy, Maintained, RemoveAccount, RemoveDevice,
    Retention, SetPassword, SetPolicy, Store,
};
use serde_json::json;

use super::tools::{Output, Place, canonical, change, say, say_json};
use pillarbox_office::auth::hash;
use pillarbox_office::directory::{self, Prepared};

#[derive(Subcommand)]
pub enum Account {
    /// Add a mailbox; its address is the user name.
    Add {
        address: String,
        /// The person's name.
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a mailbox and all its mail.
    Remove { address: String },
    /// List the mailboxes.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Set a new password.
    /// The old one can't be shown: it is not stored.
    Password {
        address: String,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        output: Output,
    },
    /// Say what happens to mail that mail programs have deleted.
    Policy {
        address: String,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Passwords for single devices, each with its own view of the mailbox.
    #[command(subcommand)]
    Device(Device),
}

#[derive(Subcommand)]
pub enum Device {
    /// Make a password for a device; it is shown once.
    Add {
        address: String,
        /// What to call the device, such as "Reception PC".
        label: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take a device's password away.
    Remove {
        address: String,
        /// Its number in the list.
        device: u16,
    },
    /// List the devices of a mailbox.
    List {
        address: String,
        #[command(flatten)]
        output: Output,
    },
}

/// Where a password comes from.
#[derive(Args)]
pub struct Password {
    /// Read the password from standard input (one line) instead of making one.
    #[arg(long)]
    password_stdin: bool,
}

/// What becomes of mail that programs deleted.
#[derive(Args, Clone, Copy)]
pub struct PolicyArgs {
    /// keep: it stays in webmail; trash: it moves to Trash after some days; delete: it goes once every device has
    /// deleted it.
    #[arg(long = "policy", value_enum, default_value = "trash")]
    kind: PolicyKind,
    /// Days before it moves to Trash.
    #[arg(long, default_value_t = directory::USUAL_DAYS)]
    days: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum PolicyKind {
    Keep,
    Trash,
    Delete,
}

impl PolicyArgs {
    fn policy(self) -> MailboxPolicy {
        match self.kind {
            PolicyKind::Keep => MailboxPolicy::Keep,
            PolicyKind::Trash => MailboxPolicy::TrashAfter { days: self.days },
            PolicyKind::Delete => MailboxPolicy::DeleteWhenAll,
        }
    }
}

fn policy_text(policy: MailboxPolicy) -> String {
    match policy {
        MailboxPolicy::Keep => "keep".into(),
        MailboxPolicy::TrashAfter { days } => format!("trash after {days} days"),
        MailboxPolicy::DeleteWhenAll => "delete".into(),
    }
}

/// The password that was asked for, ready to be stored.
fn obtain(wanted: &Password) -> Result<Prepared, String> {
    let password = match wanted.password_stdin {
        true => directory::Password::chosen(password_from_stdin()?),
        false => Ok(directory::Password::Made),
    };
    password.and_then(directory::Password::prepare).map_err(|why| why.to_string())
}

/// A password from a pipe or file.
pub fn password_from_stdin() -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        return Err("--password-stdin wants the password from a pipe or file, not typed where it can be seen".into());
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|e| format!("reading the password: {e}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_string())
}

/// Says what was done; `made`: a password that was made here, which is shown this once.
fn report(address: &str, made: Option<&str>, output: Output, what: &str) -> Result<(), String> {
    match (made, output.json) {
        (Some(password), true) => say_json(&json!({"address": address, "password": password})),
        (None, true) => say_json(&json!({"address": address})),
        (Some(password), false) => say(&format!(
            "{what}\n  user name  {address}\n  password   {password}\nWrite it down: it is shown only this once."
        )),
        (None, false) => say(what),
    }
}

pub fn run(place: &Place, command: Account) -> Result<(), String> {
    let store = place.store()?;
    match command {
        Account::Add { address, name, password, policy, output } => {
            let address = super::tools::address(&address)?;
            let password = obtain(&password)?;
            change(
                &store,
                directory::person(&address, &name, &password, policy.policy(), clock::now()),
            )?;
            let address = address.canonical();
            report(
                &address,
                password.made.as_deref(),
                output,
                &format!("{address} can receive mail now."),
            )
        }
        Account::Remove { address } => remove(&store, &canonical(&address)?),
        Account::List { output } => list(&store, output),
        Account::Password { address, password, output } => {
            let address = canonical(&address)?;
            let Prepared { hash, made } = obtain(&password)?;
            change(&store, SetPassword { address: address.clone(), hash, at: clock::now() })?;
            report(&address, made.as_deref(), output, &format!("{address} has a new password."))
        }
        Account::Policy { address, policy } => {
            let (address, policy) = (canonical(&address)?, policy.policy());
            change(&store, SetPolicy { address: address.clone(), policy })?;
            say(&format!("Mail of {address} deleted by mail programs: {}.", policy_text(policy)))
        }
        Account::Device(device) => devices(&store, device),
    }
}

fn remove(store: &Store, address: &str) -> Result<(), String> {
    change(store, RemoveAccount { address: address.to_string() })?;
    // The mail goes piece by piece; a running server would do the same on its next round.
    let forever = Retention {
        at: clock::now(),
        trash_for: u64::MAX,
        junk_for: u64::MAX,
        ledger_for: u64::MAX / 2,
        ledger_octets: u64::MAX,
    };
    while store.change(forever).wait().map_err(|e| e.to_string())? == Maintained::More {}
    say(&format!("{address} and all its mail are gone."))
}

fn list(store: &Store, output: Output) -> Result<(), String> {
    let accounts = store.read(|r| {
        let accounts = r.accounts()?.into_iter();
        accounts
            .map(|(id, account)| Ok((account, r.folder(id, FolderId::INBOX)?)))
            .collect::<Result<Vec<_>, _>>()
    });
    let accounts = accounts.map_err(|e| e.to_string())?;
    if output.json {
        let list: Vec<_> = accounts
            .iter()
            .map(|(account, inbox)| {
                json!({
                    "address": account.address,
                    "name": account.name,
                    "created": clock::iso(account.created),
                    "policy": policy_text(account.policy),
                    "messages": inbox.map_or(0, |f| f.messages),
                    "octets": inbox.map_or(0, |f| f.octets),
                })
            })
            .collect();
        return say_json(&json!(list));
    }
    accounts.iter().try_for_each(|(account, inbox)| {
        let (messages, octets) = inbox.map_or((0, 0), |f| (f.messages, f.octets));
        say(&format!(
            "{:<32} {messages:>7} messages {octets:>12} octets  {}",
            account.address,
            policy_text(account.policy)
        ))
    })
}

fn devices(store: &Store, command: Device) -> Result<(), String> {
    match command {
        Device::Add { address, label, output } => {
            let address = canonical(&address)?;
            let password = hash::generate()?;
            let add = AddDevice {
                address: address.clone(),
                label,
                hash: hash::device(&password),
                at: clock::now(),
            };
            let device = change(store, add)?;
            match output.json {
                true => {
                    say_json(&json!({"address": address, "device": device.0, "password": password}))
                }
                false => report(
                    &address,
                    Some(&password),
                    output,
                    &format!("Device {} can log in now.", device.0),
                ),
            }
        }
        Device::Remove { address, device } => {
            let address = canonical(&address)?;
            change(store, RemoveDevice { address: address.clone(), device: DeviceId(device) })?;
            say(&format!("Device {device} of {address} can no longer log in."))
        }
        Device::List { address, output } => {
            let address = canonical(&address)?;
            let credentials = store.read(|r| {
                let account = r.account(&address)?;
                account.map(|(id, _)| r.credentials(id)).transpose()
            });
            let credentials = credentials
                .map_err(|e| e.to_string())?
                .ok_or(format!("there is no account {address}"))?;
            let devices = credentials.into_iter().filter(|(device, _)| *device != DeviceId::MAIN);
            match output.json {
                true => {
                    let list: Vec<_> = devices.map(|(d, c)| json!({"device": d.0, "label": c.label, "created": clock::iso(c.created)})).collect();
                    say_json(&json!(list))
                }
                false => devices.into_iter().try_for_each(|(d, c)| {
                    say(&format!("{:>3}  {}  {}", d.0, clock::iso(c.created), c.label))
                }),
            }
        }
    }
}
