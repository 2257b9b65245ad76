//! temporary
pub struct Options {
    pub to: String,
    pub from: String,
    pub seconds: u32,
    pub server: String,
    pub local: String,
}
pub async fn run_from_command_line(_: Options) -> anyhow::Result<()> {
    Ok(())
}
