#!/usr/bin/env python3
"""Switches the checks of tokens, documents, updates and keys off, one by one, in a copy of the tree: which vectors then get in?

Use: tests/mutants.py [NAME-PREFIX...]     (all of them take some 20 minutes; not part of .ci/run)

tests/mutants.toml lists the mutations. Each must be noticed by at least one vector, except those that say why nothing else can
follow from them (`equivalent`). "let in" are vectors that were verified or accepted though they must not be; "otherwise" are those that got
another verdict than theirs: a later check still refuses them, or an honest token is refused.
Exit status 0 only if every mutation was noticed and every text was found exactly once."""
import os, pathlib, re, shutil, subprocess, sys, tempfile, tomllib

TESTS = pathlib.Path(__file__).resolve().parent
TREE = TESTS.parent
COMMAND = ["cargo", "test", "--quiet", "-p", "edgeseal-trust", "--no-fail-fast",
           "--test", "vectors", "--test", "document_vectors", "every_vector"]
WRONG = re.compile(r"^([\w./-]+): ([\w-]+), expected ([\w-]+)", re.MULTILINE)


def run(tree, target):
    """What the vectors say: {vector: (verdict, expected)} of those that get another verdict; nothing where they cannot be judged."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_TERM_COLOR="never", RUST_BACKTRACE="0")
    done = subprocess.run(COMMAND, cwd=tree, env=environment, capture_output=True, text=True, timeout=900)
    text = done.stdout + done.stderr
    wrong = {name: (verdict, expected) for name, verdict, expected in WRONG.findall(text)}
    if done.returncode == 0 or wrong:
        return wrong
    print(text, file=sys.stderr)
    return None


def named(names, most=3):
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "-"


def judge(mutation, wrong):
    """The line of the table, and whether it is as it should be."""
    if wrong is None:
        return "DOES NOT RUN: mend tests/mutants.toml", False
    let_in = [name for name, (verdict, _) in wrong.items() if verdict in ("verified", "accepted")]
    otherwise = [name for name in wrong if name not in let_in]
    if reason := mutation.get("equivalent"):
        return f"{'STALE REASON' if wrong else 'equivalent'}: {reason}", not wrong
    text = f"let in: {named(let_in)}" if let_in else f"otherwise: {named(otherwise)}"
    return text if wrong else "SURVIVED", bool(wrong)


def main():
    mutations = tomllib.loads((TESTS / "mutants.toml").read_text())["mutation"]
    for mutation in mutations:
        found = (TREE / mutation["path"]).read_text().count(mutation["old"])
        if found != 1:
            raise SystemExit(f"{mutation['name']}: its text occurs {found} times in {mutation['path']}: mend tests/mutants.toml")
    names = [mutation["name"] for mutation in mutations]
    if len(set(names)) != len(names):
        raise SystemExit("two mutations have one name")
    wanted = tuple(sys.argv[1:]) or ("",)
    mutations = [mutation for mutation in mutations if mutation["name"].startswith(wanted)]
    with tempfile.TemporaryDirectory(prefix="edgeseal-mutants-") as folder:
        tree, target = pathlib.Path(folder, "tree"), pathlib.Path(folder, "target")
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TREE, check=True, capture_output=True, text=True)
        for path in filter(lambda path: (TREE / path).is_file(), listed.stdout.splitlines()):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(TREE / path, tree / path)
        if (wrong := run(tree, target)) != {}:
            raise SystemExit(f"without any mutation, wrong already: {named(wrong or {}, 20)}")
        good = 0
        for mutation in mutations:
            path = tree / mutation["path"]
            text = path.read_text()
            path.write_text(text.replace(mutation["old"], mutation["new"]))
            line, fine = judge(mutation, run(tree, target))
            path.write_text(text)
            good += fine
            print(f"{mutation['name']:<34} {line}", flush=True)
    print(f"{good} of {len(mutations)} as they should be")
    sys.exit(0 if good == len(mutations) else 1)


if __name__ == "__main__":
    main()
