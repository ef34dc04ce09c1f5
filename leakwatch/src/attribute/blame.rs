//! Which frame to show for a site.
use crate::model::snapshot::FrameRow;
/// Index.
pub fn blamed(f: &[FrameRow]) -> Option<usize> {
    f.iter().position(|f| f.function.is_some())
}
