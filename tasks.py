"""Every verb an operator types: `invoke --list` shows them, `invoke VERB --help` explains one."""


from invoke.collection import Collection
from invoke.context import Context

import fly.tasks
import image.tasks
import tests.tasks
from docs import written
from fly.console import say, verb
from fly.settings import VARIABLES


@verb()
def docs(context: Context) -> None:
    """Writes the parts of the documents that come from the code."""
    written.README.write_text(written.readme(ns, VARIABLES), encoding="utf-8")
    say("README.md is up to date.")


ns = Collection(docs)
for module in (fly.tasks, image.tasks, tests.tasks):
    for verb_of_module in Collection.from_module(module).tasks.values():
        ns.add_task(verb_of_module)
