//! What a template may consist of.
//!
//! Each kind of statement and expression is named, so that a later minijinja with a new one does not compile here until
//! somebody has thought about it.

use minijinja::Error;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::TemplateError;
use crate::filters::{FILTERS, TESTS};

/// Parsing and compiling recurse into what a tag holds; this much, at these depths, fits any stack.
const MAX_TAG_TOKENS: usize = 100;

/// Of brackets within each other.
const MAX_BRACKETS: usize = 10;

/// Of `for` and `if` within each other. An `elif` counts as one more: it is nested in the one before.
const MAX_BLOCKS: usize = 20;

type Vetted = Result<(), TemplateError>;

/// Checks a template before it is compiled.
pub(crate) fn check(source: &str) -> Vetted {
    sizes(source)?;
    match parse(source, "template", SyntaxConfig::default()).map_err(|error| engine(&error))? {
        Stmt::Template(template) => statements(&template.children),
        _ => Err(TemplateError::line(1, "this is not a template")),
    }
}

fn engine(error: &Error) -> TemplateError {
    TemplateError::from_engine(error, 0)
}

/// Looks at the tokens first: they are found without recursion.
fn sizes(source: &str) -> Vetted {
    let (mut tokens, mut brackets, mut blocks) = (0, 0_usize, 0);
    // What `blocks` was before each `for` and `if` that is open.
    let mut before = Vec::new();
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|error| engine(&error))?;
        match token {
            Token::VariableStart | Token::BlockStart => (tokens, brackets) = (0, 0),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => brackets += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                brackets = brackets.saturating_sub(1);
            }
            Token::Ident("for" | "if") if tokens == 1 => {
                before.push(blocks);
                blocks += 1;
            }
            Token::Ident("elif") if tokens == 1 => blocks += 1,
            Token::Ident("endfor" | "endif") if tokens == 1 => blocks = before.pop().unwrap_or_default(),
            _ => {}
        }
        tokens += 1;
        if tokens > MAX_TAG_TOKENS {
            return refuse(span, "this tag is too long; split it with {% set %}");
        }
        if brackets > MAX_BRACKETS {
            return refuse(span, "there are too many brackets within each other");
        }
        if blocks > MAX_BLOCKS {
            return refuse(span, "there are too many for, if and elif within each other");
        }
    }
    Ok(())
}

fn refuse(span: Span, reason: &str) -> Vetted {
    Err(TemplateError::line(span.start_line.into(), reason))
}

fn statements(statements: &[Stmt<'_>]) -> Vetted {
    statements.iter().try_for_each(statement)
}

fn statement(statement: &Stmt<'_>) -> Vetted {
    match statement {
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::IfCond(cond) => {
            expression(&cond.expr)?;
            statements(&cond.true_body)?;
            statements(&cond.false_body)
        }
        Stmt::Set(set) => {
            name(&set.target)?;
            expression(&set.expr)
        }
        Stmt::ForLoop(each) if each.recursive => refuse(each.span(), "a loop can't be recursive here"),
        Stmt::ForLoop(each) => {
            name(&each.target)?;
            expression(&each.iter)?;
            each.filter_expr.as_ref().map_or(Ok(()), expression)?;
            statements(&each.body)?;
            statements(&each.else_body)
        }
        Stmt::WithBlock(it) => refuse(it.span(), "{% with %} is not available here; use {% set %}"),
        Stmt::SetBlock(it) => refuse(it.span(), "a block can't be set here; write {% set name = value %}"),
        Stmt::FilterBlock(it) => refuse(it.span(), "{% filter %} is not available here; write value|filter"),
        Stmt::AutoEscape(it) => refuse(it.span(), "{% autoescape %} is not available here"),
        Stmt::Do(it) => refuse(it.span(), "{% do %} is not available here"),
        Stmt::Template(it) => refuse(it.span(), "a template can't hold another"),
    }
}

fn name(target: &Expr<'_>) -> Vetted {
    match target {
        Expr::Var(_) => Ok(()),
        other => refuse(other.span(), "only one plain name can be set here"),
    }
}

fn expression(expr: &Expr<'_>) -> Vetted {
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(op) => expression(&op.expr),
        Expr::BinOp(op) => {
            if matches!(op.op, BinOpKind::Add | BinOpKind::Mul | BinOpKind::Pow) {
                return refuse(op.span(), "+, * and ** are not available here; join texts with ~");
            }
            expression(&op.left)?;
            expression(&op.right)
        }
        Expr::Compare(compare) => {
            expression(&compare.expr)?;
            compare.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(cond) => {
            expression(&cond.test_expr)?;
            expression(&cond.true_expr)?;
            cond.false_expr.as_ref().map_or(Ok(()), expression)
        }
        Expr::GetAttr(get) => expression(&get.expr),
        Expr::GetItem(get) => {
            expression(&get.expr)?;
            expression(&get.subscript_expr)
        }
        Expr::Filter(filter) => {
            known("filter", filter.name, FILTERS, filter.span())?;
            filter.expr.as_ref().map_or(Ok(()), expression)?;
            arguments(&filter.args, filter.span())
        }
        Expr::Test(test) => {
            known("test", test.name, TESTS, test.span())?;
            expression(&test.expr)?;
            arguments(&test.args, test.span())
        }
        // For `x in ["a", "b"]`.
        Expr::List(list) if list.items.iter().all(|item| matches!(item, Expr::Const(_))) => Ok(()),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => refuse(
            expr.span(),
            "only lists of fixed texts and numbers, like [\"a\", \"b\"], are available here",
        ),
        Expr::Slice(_) => refuse(expr.span(), "parts can't be cut out here; use truncate, first or last"),
        Expr::Call(_) => refuse(expr.span(), "there are no functions or methods here"),
    }
}

/// minijinja would look the name up when it gets there, which may be never until it matters.
fn known(what: &str, name: &str, all: &[&str], span: Span) -> Vetted {
    if all.contains(&name) {
        return Ok(());
    }
    let name: String = name.chars().take(40).collect();
    refuse(span, &format!("there is no {what} {name}; there are: {}", all.join(", ")))
}

fn arguments(args: &[CallArg<'_>], span: Span) -> Vetted {
    args.iter().try_for_each(|arg| match arg {
        CallArg::Pos(expr) | CallArg::Kwarg(_, expr) => expression(expr),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => refuse(span, "arguments can't be unpacked here"),
    })
}
