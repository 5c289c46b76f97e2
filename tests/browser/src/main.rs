//! The box's pages in a real Chromium: what an owner and a worker do, on a desk and on a phone.
//! Pictures of every page go into a folder, for people to look at.
//!
//! `pillarbox-browser-tests [--pictures FOLDER] [word of a scenario's name]`

mod driver;
mod hostile;
mod office;
mod owner;
mod product;
mod webmail;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use driver::{Driver, Result};

/// For one scenario.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> ExitCode {
    let mut pictures = PathBuf::from("target/pictures");
    let mut word = String::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--pictures" => pictures = arguments.next().unwrap_or_default().into(),
            other => word = other.to_string(),
        }
    }
    match run(&pictures, &word).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{failed} failed");
            ExitCode::from(1)
        }
        Err(error) => {
            println!("the tests could not run: {error}");
            ExitCode::from(1)
        }
    }
}

async fn run(pictures: &Path, word: &str) -> Result<usize> {
    let driver = Driver::start().await?;
    let mut failed = 0;
    macro_rules! scenarios {
        ($($name:path,)*) => {$({
            let name = stringify!($name);
            if name.contains(word) {
                let begun = Instant::now();
                let ran = tokio::time::timeout(PATIENCE, $name(&driver, pictures)).await;
                match ran.unwrap_or_else(|_| Err("it took too long".into())) {
                    Ok(()) => println!("ok      {name} ({:.1} s)", begun.elapsed().as_secs_f32()),
                    Err(error) => {
                        failed += 1;
                        println!("FAILED  {name}: {error}");
                    }
                }
            }
        })*};
    }
    scenarios! {
        owner::a_wrong_claim_code_is_refused,
        owner::the_first_run_from_claim_code_to_mail,
        owner::the_set_up_is_left_and_resumed,
        owner::every_page_fits_a_phone_and_a_desk,
        owner::dark_colours_follow_the_system,
        owner::pages_speak_german,
        owner::everything_works_without_scripts,
        owner::everything_works_by_keyboard,
        owner::the_coach_shows_what_arrives_without_a_reload,
        webmail::mail_is_read_answered_and_found,
        webmail::what_is_dangerous_is_told_and_what_is_in_junk_says_why,
        webmail::the_box_learns_what_is_junk_and_takes_it_back,
        webmail::another_bank_account_is_marked_in_red,
        webmail::two_people_write_to_each_other_and_see_it_at_once,
        webmail::mail_works_without_scripts,
        webmail::mail_works_by_keys,
        office::letters_are_formatted_and_take_files_by_drop_and_paste,
        office::contacts_are_collected_edited_and_travel,
        office::a_message_shows_its_parts_and_its_way,
        office::words_are_found_as_one_types_and_folders_keep_order,
        office::a_letter_tells_what_became_of_it,
        office::what_a_person_likes_follows_them,
        hostile::nothing_runs_and_nothing_gets_out,
    }
    Ok(failed)
}
