#!/usr/bin/env python3
"""The YAML that we hand out is YAML, and is what cloud-init and Ansible take: tests/samples.py

Needs PyYAML. `cloud-init schema` and `ansible-playbook --syntax-check` judge as well where they are installed.
"""
import pathlib
import re
import shutil
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROLE = ROOT / "packages/ansible/roles/edgeseal"
USER_DATA = ROOT / "packages/examples/user-data"


class Strict(yaml.SafeLoader):
    """No member twice: YAML says so, and PyYAML takes the last one."""


def mapping(loader, node):
    names = [loader.construct_object(name, deep=True) for name, _ in node.value]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"twice: {sorted(twice)}", node.start_mark)
    return loader.construct_mapping(node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def parsed(text, where):
    try:
        return yaml.load(text, Strict)
    except yaml.YAMLError as why:
        sys.exit(f"{where}: {why}")


def expect(condition, where, what):
    if not condition:
        sys.exit(f"{where}: {what}")


def files():
    found = [USER_DATA]
    for pattern in ["*.yml", "*.yaml"]:
        found += (ROOT / "packages").rglob(pattern)
    return sorted(found)


def judge_user_data(content):
    text = USER_DATA.read_text()
    expect(text.startswith("#cloud-config\n"), USER_DATA, "its first line is not #cloud-config")
    expect(isinstance(content, dict) and set(content) == {"runcmd"}, USER_DATA, "not runcmd alone")
    for command in content["runcmd"]:
        is_list = isinstance(command, list) and all(isinstance(word, str) for word in command)
        expect(is_list or isinstance(command, str), USER_DATA, f"no command: {command!r}")


def judge_tasks(tasks, where, handlers):
    expect(isinstance(tasks, list) and tasks, where, "no list of tasks")
    for task in tasks:
        expect(isinstance(task, dict) and isinstance(task.get("name"), str), where, f"a task without a name: {task!r}")
        modules = [name for name in task if "." in name]
        if "block" in task:
            expect(not modules, where, f"{task['name']}: a block and a module")
            judge_tasks(task["block"], where, handlers)
        else:
            expect(len(modules) == 1, where, f"{task['name']}: not one module with its full name, but {modules}")
        told = task.get("notify")
        expect(told is None or told in handlers, where, f"{task['name']}: no handler {told!r}")


def judge_role(contents):
    handlers = contents[ROLE / "handlers/main.yml"]
    names = {handler["name"] for handler in handlers}
    judge_tasks(handlers, "handlers", names)
    judge_tasks(contents[ROLE / "tasks/main.yml"], "tasks", names)
    defaults = contents[ROLE / "defaults/main.yml"]
    for play in contents[ROOT / "packages/ansible/site.yml"]:
        for role in play["roles"]:
            unknown = set(role.get("vars", {})) - set(defaults)
            expect(role["role"] == "edgeseal" and not unknown, "site.yml", f"sets what the role does not know: {unknown}")


def judge_documents():
    """The YAML that the pages show."""
    count = 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"^ *```ya?ml\n(.*?)^ *```", page.read_text(), re.M | re.S):
            parsed(block, page)
            count += 1
    return count


def judge_by_others():
    others = []
    if shutil.which("cloud-init"):
        others.append(["cloud-init", "schema", "--config-file", str(USER_DATA)])
    if shutil.which("ansible-playbook"):
        others.append(["ansible-playbook", "--syntax-check", "-i", "localhost,", str(ROOT / "packages/ansible/site.yml")])
    for command in others:
        subprocess.run(command, check=True)
    return [command[0] for command in others]


def main():
    contents = {path: parsed(path.read_text(), path) for path in files()}
    expect(len(contents) >= 6, "packages", f"only {len(contents)} files")
    judge_user_data(contents[USER_DATA])
    judge_role(contents)
    shown = judge_documents()
    also = judge_by_others()
    print(f"{len(contents)} files and {shown} pieces in the pages are YAML" + (f"; {', '.join(also)} agree" if also else ""))


if __name__ == "__main__":
    main()
