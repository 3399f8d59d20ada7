//! What became of changes of an order, and of the papers that the ERP is to have of it.

use super::fields::{Code, Moment, Note, Units};
use lockstep_actors::ids::{DocumentId, Reason};
use lockstep_actors::orders::change::{AnsweredChange, AnsweredLine, ChangeAnswer, ChangeRefusal};
use lockstep_actors::orders::paper::{ErpPaper, PaperStanding};
use lockstep_actors::quantity::Quantity;
use schemars::JsonSchema;
use serde::Serialize;

/// What a customer wanted of an order another way, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangeView {
    /// The customer's number for it.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Why.
    #[schemars(with = "Note")]
    pub reason: Reason,
    /// When it was answered.
    pub at: Moment,
    /// Which system asked for it, as its key says.
    pub by: String,
    /// Line by line.
    pub lines: Vec<AnsweredLineView>,
}

/// A line that was wanted another way, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AnsweredLineView {
    /// Which.
    pub line: u16,
    /// How much was wanted from then on.
    #[schemars(with = "Units")]
    pub asked: Quantity,
    /// How much is wanted of it from then on.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// What became of it.
    pub answer: LineAnswerView,
    /// Why it is not as it was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<ChangeRefusalView>,
}

/// What became of a line that was wanted another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LineAnswerView {
    /// It is as it was wanted.
    Accepted,
    /// It is as near to that as can be.
    PartlyAccepted,
    /// It stays as it was.
    Rejected,
}

/// Why a line is not as it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRefusalView {
    /// There is no such line.
    UnknownLine,
    /// It would be more than before: that is another order.
    More,
    /// The warehouse has begun with it.
    InHand,
    /// It has left the house.
    Shipped,
    /// That is no whole number of the unit that was ordered.
    Unit,
    /// Nothing of the order would be left: that is a cancellation.
    NothingLeft,
}

impl From<ChangeRefusal> for ChangeRefusalView {
    fn from(refusal: ChangeRefusal) -> Self {
        match refusal {
            ChangeRefusal::UnknownLine => Self::UnknownLine,
            ChangeRefusal::More => Self::More,
            ChangeRefusal::InHand => Self::InHand,
            ChangeRefusal::Shipped => Self::Shipped,
            ChangeRefusal::Unit => Self::Unit,
            ChangeRefusal::NothingLeft => Self::NothingLeft,
        }
    }
}

impl From<AnsweredChange> for ChangeView {
    fn from(change: AnsweredChange) -> Self {
        let line = |line: AnsweredLine| {
            let (answer, because) = match line.answer {
                ChangeAnswer::Accepted => (LineAnswerView::Accepted, None),
                ChangeAnswer::PartlyAccepted(because) => (LineAnswerView::PartlyAccepted, Some(because)),
                ChangeAnswer::Rejected(because) => (LineAnswerView::Rejected, Some(because)),
            };
            AnsweredLineView {
                line: line.line,
                asked: line.asked,
                quantity: line.wanted,
                answer,
                because: because.map(Into::into),
            }
        };
        Self {
            document: change.document,
            reason: change.reason,
            at: Moment(change.at),
            by: change.by.into(),
            lines: change.lines.into_iter().map(line).collect(),
        }
    }
}

/// A paper that the ERP is to have of an order since it was booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PaperView {
    /// What it is about: `credit` or `change`.
    pub kind: String,
    /// Its number, one of its kind.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Whether the ERP has it.
    pub standing: PaperStandingView,
    /// The ERP's number for it, once it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub erp_number: Option<DocumentId>,
}

/// Whether the ERP has a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaperStandingView {
    /// It is being asked, or asked again soon.
    UnderWay,
    /// It has it.
    Posted,
    /// A person has to see to it.
    Stuck,
    /// A person has seen to it.
    Dismissed,
}

impl From<ErpPaper> for PaperView {
    fn from(paper: ErpPaper) -> Self {
        let (standing, erp_number) = match paper.standing {
            PaperStanding::Wanted { .. } | PaperStanding::Asked { .. } => (PaperStandingView::UnderWay, None),
            PaperStanding::Posted { number } => (PaperStandingView::Posted, Some(number)),
            PaperStanding::Stuck { .. } => (PaperStandingView::Stuck, None),
            PaperStanding::Dismissed => (PaperStandingView::Dismissed, None),
        };
        Self {
            kind: paper.kind.to_string(),
            document: paper.document,
            standing,
            erp_number,
        }
    }
}
