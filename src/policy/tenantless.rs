//! Finds policies that forbid something only to principals with a tenant, so that a principal
//! without one passes.
//!
//! Knows whether a condition can hold only if `principal has tenant` does. Does not know the
//! operator's intention: such a policy may be right, so it is only reported. A condition that is
//! too complex to analyze counts as one that can hold without a tenant.
//!
//! Source: docs.cedarpolicy.com, "JSON policy format": conditions, and the notation of expressions.
//! `&&` and `||` evaluate their right side only if the left does not decide.

use cedar_policy::{Effect, Policy};
use serde_json::{Value, json};

/// Returns true if a policy forbids, and only to principals with a tenant.
pub(super) fn forbids_only_with_tenant(policy: &Policy) -> bool {
    if policy.effect() != Effect::Forbid {
        return false;
    }
    let json = policy.to_json().unwrap_or_default();
    let conditions = json.get("conditions").and_then(Value::as_array);
    // All conditions have to hold, so one that needs a tenant is enough.
    conditions.into_iter().flatten().any(|condition| {
        let body = condition.get("body").unwrap_or(&Value::Null);
        match condition.get("kind").and_then(Value::as_str) {
            Some("when") => needs_tenant(body, true),
            Some("unless") => needs_tenant(body, false),
            _ => false,
        }
    })
}

/// Returns true if an expression evaluates to `wanted` only for a principal with a tenant, or
/// never.
fn needs_tenant(expression: &Value, wanted: bool) -> bool {
    if let Some(Value::Bool(literal)) = expression.get("Value") {
        return *literal != wanted;
    }
    if let Some(has) = expression.get("has") {
        let asks = *has == json!({"left": {"Var": "principal"}, "attr": "tenant"});
        return asks && wanted;
    }
    if let Some(negated) = expression.get("!") {
        return negated
            .get("arg")
            .is_some_and(|arg| needs_tenant(arg, !wanted));
    }
    // If the left side decides, the right side is not evaluated.
    let decided_by_left = match (expression.get("&&"), expression.get("||")) {
        (Some(sides), _) => Some((sides, false)),
        (_, Some(sides)) => Some((sides, true)),
        _ => None,
    };
    if let Some((sides, decides)) = decided_by_left {
        let needs =
            |side: &str, wanted| sides.get(side).is_some_and(|one| needs_tenant(one, wanted));
        return match wanted == decides {
            true => needs("left", decides) && (needs("left", !decides) || needs("right", decides)),
            false => needs("left", !decides) || needs("right", !decides),
        };
    }
    if let Some(choice) = expression.get("if-then-else") {
        let needs = |part: &str, wanted| {
            choice
                .get(part)
                .is_some_and(|one| needs_tenant(one, wanted))
        };
        let by_then = needs("if", true) || needs("then", wanted);
        return by_then && (needs("if", false) || needs("else", wanted));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(condition: &str, expected: bool) {
        let text = format!("forbid(principal, action, resource) {condition};");
        let policy: Policy = text.parse().unwrap();
        assert_eq!(forbids_only_with_tenant(&policy), expected, "{condition}");
    }

    #[test]
    fn a_forbid_that_spares_principals_without_a_tenant_is_found() {
        let other = "principal has tenant && principal.tenant != resource.pbx";
        check(&format!("when {{ {other} }}"), true);
        check("when { principal has tenant }", true);
        check(
            "when { principal has tenant } when { resource.pbx == \"a\" }",
            true,
        );
        check(
            "when { resource.pbx == \"a\" } when { principal has tenant }",
            true,
        );
        check(
            &format!("when {{ resource.pbx == \"a\" && ({other}) }}"),
            true,
        );
        check(
            &format!("when {{ ({other}) || (principal has tenant && resource has start) }}"),
            true,
        );
        check("unless { !(principal has tenant) }", true);
        check(
            "unless { !(principal has tenant) || principal.tenant == resource.pbx }",
            true,
        );
        check(
            "unless { context.credential == \"link\" || !(principal has tenant) }",
            true,
        );
        check("when { !(!(principal has tenant)) }", true);
        check(
            "when { if principal has tenant then principal.tenant != resource.pbx else false }",
            true,
        );
        check(
            "when { if resource has start then principal has tenant else principal has tenant }",
            true,
        );
    }

    #[test]
    fn a_forbid_for_principals_without_a_tenant_is_not_found() {
        check("", false);
        check("when { resource.pbx == \"a\" }", false);
        check("when { !(principal has tenant) }", false);
        check("unless { principal has tenant }", false);
        check(
            "unless { principal has tenant && principal.tenant == resource.pbx }",
            false,
        );
        // The condition from the starter policies.
        check(
            "unless { context.credential == \"link\" || (principal has tenant && principal.tenant == resource.pbx) }",
            false,
        );
        check(
            "when { resource.pbx == \"a\" || principal has tenant }",
            false,
        );
        check(
            "when { !(principal has tenant && principal.tenant == resource.pbx) }",
            false,
        );
        check(
            "when { if principal has tenant then principal.tenant != resource.pbx else true }",
            false,
        );
        check("when { resource has start }", false);
        check("when { resource has tenant }", false);
        check("when { (principal has tenant) == false }", false);
    }

    #[test]
    fn a_permit_may_require_a_tenant() {
        let text = "permit(principal, action, resource) when { principal has tenant };";
        assert!(!forbids_only_with_tenant(&text.parse().unwrap()));
    }
}
