//! The model: how much each feature speaks for a message being unwanted.
//!
//! Two things are asked. A linear one: a logistic regression on all features, learned with FTRL-Proximal (McMahan et
//! al. 2013), a few times over all lessons. It is the better one when there are many. And counts: in which share of
//! wanted and of unwanted messages a word was, as Robinson's way has it, which is the better one when there are few.
//!
//! A model is made of lessons and of nothing else, in a second or so. Where it draws the line comes from lessons that
//! it was not made of: a model of one half judges the other.

use super::features::{BITS, Features, WINDOWS};
use super::lesson::{Label, Lesson};

/// Weights of the linear model: four neighbouring features share one.
const WEIGHTS: u32 = 18;
/// How fast is learned, and what keeps weights small.
const ALPHA: f32 = 4.0;
const BETA: f32 = 1.0;
const LAMBDA: f32 = 0.02;
/// How often all lessons are gone through.
const ROUNDS: usize = 6;
/// How much words and facts, and windows, count of a message in all.
const WORDS: f32 = 3.0;
const WINDOWED: f32 = 1.0;
/// A wanted message that would be taken for an unwanted one counts as often.
const WANTED: f32 = 4.0;
/// How strong the belief is that a word which nobody saw says nothing, and how much a word must say to count.
const STRENGTH: f32 = 0.02;
const LEAST: f32 = 0.35;
/// How much counts count beside weights.
const COUNTED: f32 = 0.1;
/// However alike wanted messages are: below these scores nothing is doubtful, and unwanted.
const SURE: (f32, f32) = (1.0, 2.0);
/// Of each label that must be known before anything is said.
pub const FEWEST: u32 = 20;
/// In steps of this size the logarithms of odds are kept.
const STEP: f32 = 12.0;

/// What the model thinks of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// It is as the wanted ones are.
    Wanted,
    Unsure,
    /// It is more like unwanted ones than any wanted one was, but not by far.
    Doubtful,
    Unwanted,
}

/// Gives all lessons in order, as often as it is asked.
pub type Lessons<'l, E> = dyn Fn(&mut dyn FnMut(&Lesson)) -> Result<(), E> + 'l;

/// What was learned.
pub struct Model {
    weights: Vec<f32>,
    /// Logarithms of the odds of words and facts, in twelfths.
    odds: Vec<i8>,
    /// From here on a message is doubtful, and unwanted.
    doubtful: f32,
    unwanted: f32,
}

impl Model {
    /// Of lessons; `None`: there are too few of them.
    /// Takes 7 MB while it lasts.
    ///
    /// # Errors
    /// Those of `lessons`.
    pub fn of<E>(lessons: &Lessons<'_, E>) -> Result<Option<Model>, E> {
        let mut counts = [0; 2];
        lessons(&mut |lesson| counts[at(lesson.label)] += 1)?;
        if counts.iter().any(|count| *count < FEWEST) {
            return Ok(None);
        }
        let mut wanted = Vec::new();
        for half in [0, 1] {
            let model = Model::of_half(Some(half), lessons)?;
            each(Some(1 - half), lessons, &mut |lesson| {
                if lesson.label == Label::Wanted {
                    wanted.push(model.score(&lesson.features));
                }
            })?;
        }
        let mut model = Model::of_half(None, lessons)?;
        (model.doubtful, model.unwanted) = lines(&wanted);
        Ok(Some(model))
    }

    /// Of one half of the lessons, or of all.
    fn of_half<E>(half: Option<usize>, lessons: &Lessons<'_, E>) -> Result<Model, E> {
        let mut pupil = Pupil::default();
        each(half, lessons, &mut |lesson| pupil.count(lesson))?;
        for _ in 0..ROUNDS {
            each(half, lessons, &mut |lesson| pupil.learn(lesson))?;
        }
        Ok(pupil.into_model())
    }

    /// What it thinks of a message.
    pub fn judge(&self, features: &Features) -> Opinion {
        match self.score(features) {
            score if score >= self.unwanted => Opinion::Unwanted,
            score if score >= self.doubtful => Opinion::Doubtful,
            score if score < 0.0 => Opinion::Wanted,
            _ => Opinion::Unsure,
        }
    }

    /// The higher, the more it is like unwanted messages.
    pub fn score(&self, features: &Features) -> f32 {
        let (words, _) = features.halves();
        let odds = words.iter().map(|&id| self.odds[id as usize]).filter(|odds| *odds != 0);
        let (sum, number) =
            odds.fold((0.0, 0.0f32), |(sum, n), odds| (sum + f32::from(odds) / STEP, n + 1.0));
        linear(features, |weight| self.weights[weight]) + COUNTED * sum / number.max(1.0).sqrt()
    }

    /// How much one feature speaks for a message being unwanted; to be compared with that of others only.
    pub fn says(&self, id: u32) -> f32 {
        let odds = self.odds.get(id as usize).copied().unwrap_or_default();
        self.weights.get(weight_of(id)).copied().unwrap_or_default() + f32::from(odds) / STEP
    }
}

/// Where the lines are drawn, by the scores of wanted messages that the model had not seen: above all of them, and
/// the wider the more they differ.
fn lines(wanted: &[f32]) -> (f32, f32) {
    let number = wanted.len().max(1) as f32;
    let mean = wanted.iter().sum::<f32>() / number;
    let spread = (wanted.iter().map(|one| (one - mean).powi(2)).sum::<f32>() / number).sqrt();
    let highest = wanted.iter().copied().fold(f32::MIN, f32::max);
    let doubtful = highest.max(mean + 3.0 * spread).max(SURE.0);
    (doubtful, (highest + spread / 2.0).max(mean + 4.0 * spread).max(SURE.1))
}

/// Lessons of one half, each label halved for itself, or all.
fn each<E>(
    half: Option<usize>,
    lessons: &Lessons<'_, E>,
    take: &mut dyn FnMut(&Lesson),
) -> Result<(), E> {
    let mut counts = [0; 2];
    lessons(&mut |lesson| {
        let count = &mut counts[at(lesson.label)];
        *count += 1;
        if half.is_none_or(|half| *count % 2 == half) {
            take(lesson);
        }
    })
}

fn at(label: Label) -> usize {
    usize::from(label.is_unwanted())
}

fn weight_of(id: u32) -> usize {
    (id >> (BITS - WEIGHTS)) as usize
}

/// What words and facts, and windows, count each.
fn shares(features: &Features) -> [(&[u32], f32); 2] {
    let (words, windows) = features.halves();
    let share = |ids: &[u32], all: f32| all / (ids.len().max(1) as f32).sqrt();
    [(words, share(words, WORDS)), (windows, share(windows, WINDOWED))]
}

fn linear(features: &Features, weight: impl Fn(usize) -> f32) -> f32 {
    let sum = |(ids, share): (&[u32], f32)| {
        ids.iter().map(|&id| weight(weight_of(id))).sum::<f32>() * share
    };
    shares(features).into_iter().map(sum).sum()
}

/// A model that is being made.
struct Pupil {
    /// Sums of gradients, and of their squares.
    gradients: Vec<[f32; 2]>,
    counts: Vec<[u16; 2]>,
    lessons: [f32; 2],
}

impl Default for Pupil {
    fn default() -> Self {
        Pupil {
            gradients: vec![[0.0; 2]; 1 << WEIGHTS],
            counts: vec![[0; 2]; WINDOWS as usize],
            lessons: [0.0; 2],
        }
    }
}

impl Pupil {
    fn count(&mut self, lesson: &Lesson) {
        let at = at(lesson.label);
        self.lessons[at] += 1.0;
        for &id in lesson.features.halves().0 {
            let count = &mut self.counts[id as usize][at];
            *count = count.saturating_add(1);
        }
    }

    fn weight(&self, at: usize) -> f32 {
        let [sum, squares] = self.gradients[at];
        -sum / ((BETA + squares.sqrt()) / ALPHA + LAMBDA)
    }

    fn learn(&mut self, lesson: &Lesson) {
        let score = linear(&lesson.features, |at| self.weight(at));
        let unwanted = 1.0 / (1.0 + (-score).exp());
        let error = match lesson.label {
            Label::Wanted => unwanted * WANTED,
            Label::Unwanted => unwanted - 1.0,
        };
        for (ids, share) in shares(&lesson.features) {
            let gradient = error * share;
            for at in ids.iter().map(|&id| weight_of(id)) {
                let weight = self.weight(at);
                let [sum, squares] = &mut self.gradients[at];
                let grown = *squares + gradient * gradient;
                *sum += gradient - (grown.sqrt() - squares.sqrt()) / ALPHA * weight;
                *squares = grown;
            }
        }
    }

    /// The logarithm of the odds that a message with this word is unwanted, in twelfths; 0 where it says too little.
    fn odds(&self, [wanted, unwanted]: [u16; 2]) -> i8 {
        let (wanted, unwanted) = (f32::from(wanted), f32::from(unwanted));
        let [of_wanted, of_unwanted] = self.lessons.map(|lessons| lessons.max(1.0));
        let (seen, share) = (wanted + unwanted, unwanted / of_unwanted);
        let share = share / (share + wanted / of_wanted).max(f32::MIN_POSITIVE);
        let belief = (STRENGTH * 0.5 + seen * share) / (STRENGTH + seen);
        match (belief - 0.5).abs() >= LEAST {
            true => ((belief / (1.0 - belief)).ln() * STEP) as i8,
            false => 0,
        }
    }

    fn into_model(self) -> Model {
        Model {
            weights: (0..1 << WEIGHTS).map(|at| self.weight(at)).collect(),
            odds: self.counts.iter().map(|&counts| self.odds(counts)).collect(),
            doubtful: f32::INFINITY,
            unwanted: f32::INFINITY,
        }
    }
}
