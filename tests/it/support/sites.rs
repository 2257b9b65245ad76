//! Sites for the scenarios.

/// A carrier on `carrier`, `agents` people with extensions from 1000, one queue that they all serve without wrap-up, and
/// an administrator.
pub fn call_centre(agents: usize, carrier: u16) -> String {
    let mut site = format!(
        "region = \"RU\"\nlanguage = \"en\"\n\n[[user]]\nlogin = \"root\"\nrole = \"admin\"\n\n\
         [[trunk]]\nname = \"carrier\"\ntargets = [\"127.0.0.1:{carrier}\"]\naccept_from = [\"127.0.0.1/32:{carrier}\"]\n\n\
         [[number]]\nnumber = \"+74951234567\"\nto = \"queue:sales\"\nsource = \"site\"\n\n\
         [[route]]\nprefix = \"\"\ntrunk = \"carrier\"\n\n"
    );
    let logins: Vec<String> = (0..agents).map(login).collect();
    for (index, login) in logins.iter().enumerate() {
        site += &format!(
            "[[user]]\nlogin = \"{login}\"\nname = \"Agent {index}\"\nextension = \"{}\"\nsip_password = \"{}\"\n\n",
            extension(index),
            password(index)
        );
    }
    let members = logins.iter().map(|login| format!("\"{login}\"")).collect::<Vec<_>>().join(", ");
    site + &format!("[[queue]]\nname = \"sales\"\nmembers = [{members}]\nwrap_up_seconds = 0\nring_seconds = 20\n")
}

pub fn login(index: usize) -> String {
    format!("agent{index}")
}

pub fn extension(index: usize) -> String {
    (1000 + index).to_string()
}

pub fn password(index: usize) -> String {
    format!("phone-{index}")
}
