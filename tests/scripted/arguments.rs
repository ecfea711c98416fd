//! What the arguments of operations may be.

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Duration};

use etcd_http::{
    Client,
    transport::http::Method,
    v2::{self, Condition, Node, Permissions},
    v3,
};
use harness::scripted_transport::ScriptedTransport;

/// Makes everything that takes text from each of these forms of `foo`, and compares it with what `"foo"` makes.
macro_rules! anything {
    ($(|$node:ident| $text:expr;)+) => {$({
        let $node = Node::file("foo", "foo");
        let condition = || Condition::value_is($text);
        let permissions = || Permissions::none().and_read($text).and_write($text);
        assert_eq!(condition(), Condition::value_is("foo"));
        assert_eq!(permissions(), Permissions::none().and_read("foo").and_write("foo"));
        let second = Duration::from_secs(1);
        same!($text;
            v2::Get(key), v2::Exists(key), v2::Delete(key), v2::DeleteDir(key), v2::SetDir(key),
            v2::CreateDir(key), v2::UpdateDir(key), v2::CreateInOrderDir(key), v2::Watch(key),
            v2::Set(key, value), v2::Create(key, value), v2::Update(key, value),
            v2::CreateInOrder(key, value), v2::RemoveMember(id),
            v2::GetUser(name), v2::DeleteUser(name), v2::GetRole(name), v2::DeleteRole(name),
            v2::AddUser(name, password), v2::ChangePassword(name, password),
            v3::AddUser(name, password), v3::ChangePassword(name, password), v3::GetUser(name),
            v3::DeleteUser(name), v3::GrantRole(name, role), v3::RevokeRole(name, role),
            v3::AddRole(name), v3::GetRole(name), v3::DeleteRole(name),
            v3::Authenticate(name, password)
        );
        assert_eq!(v2::Refresh::new($text, second), v2::Refresh::new("foo", second));
        let swap = v2::CompareAndSwap::new($text, $text, condition());
        assert_eq!(swap, v2::CompareAndSwap::new("foo", "foo", condition()));
        let delete = v2::CompareAndDelete::new($text, condition());
        assert_eq!(delete, v2::CompareAndDelete::new("foo", condition()));
        assert_eq!(v2::AddMember::new([$text]), v2::AddMember::new(["foo"]));
        let update = v2::UpdateMember::new($text, [$text]);
        assert_eq!(update, v2::UpdateMember::new("foo", ["foo"]));
        let create = v2::AddRole::new($text, permissions());
        assert_eq!(create, v2::AddRole::new("foo", permissions()));
        let grant = v2::GrantRoles::new($text, [$text]);
        assert_eq!(grant, v2::GrantRoles::new("foo", ["foo"]));
        assert_eq!(v3::AddMember::new([$text]), v3::AddMember::new(["foo"]));
        assert_eq!(v3::UpdateMember::new(7, [$text]), v3::UpdateMember::new(7, ["foo"]));
        assert_eq!(v3::Downgrade::enable($text), v3::Downgrade::enable("foo"));

        let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
        let v2 = client.v2();
        drop((v2.get($text), v2.set($text, $text), v2.wait($text), v2.watch($text)));
        drop((v2.compare_and_swap($text, $text, condition()), v2.add_member([$text])));
        drop((v2.add_user($text, $text), v2.grant_roles($text, [$text])));
        drop(client.request(Method::GET, $text).query("a", $text).form("b", $text));
    })+};
}

macro_rules! same {
    (@text $argument:ident $text:expr) => {
        $text
    };
    ($text:expr; $($api:ident::$operation:ident $arguments:tt),+) => {
        $(same!(@operation $text; $api $operation $arguments);)+
    };
    (@operation $text:expr; $api:ident $operation:ident ($($argument:ident),+)) => {
        assert_eq!(
            $api::$operation::new($(same!(@text $argument $text)),+),
            $api::$operation::new($(same!(@text $argument "foo")),+),
        )
    };
}

#[test]
fn every_string_type_is_accepted_as_text() {
    anything! {
        |_node| "foo";
        |_node| &"foo";
        |_node| String::from("foo");
        |_node| &String::from("foo");
        |_node| &&String::from("foo");
        |_node| &mut String::from("foo");
        |_node| Box::<str>::from("foo");
        |_node| Rc::<str>::from("foo");
        |_node| Arc::<str>::from("foo");
        |_node| Cow::Borrowed("foo");
        |_node| &Cow::Borrowed("foo");
        |_node| format_args!("foo").to_string();
        |node| &node.key;
        |node| node.key.as_str();
        |node| node.value.as_deref().unwrap_or_default();
    }
}
