"""The CloudFormation endpoint: ministack's, with what it lacks for this template put right.

Who sees that a stack's update is complete finds its alarms in CloudWatch: they are put there before
that answer is given. An alarm that a template drops is removed, if this process has put it there.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree  # nosec B405

from infra.local.front_door.asgi import RawHeaders, Receive, Scope, Send, answer, read_body
from infra.local.front_door.control_plane import ControlPlane
from infra.local.stacks.change_sets import NAMESPACE, corrected, parsed
from infra.local.stacks.recreation import Recreation
from infra.local.stacks.stand_ins import with_stand_ins, without_stand_ins
from infra.local.template import alarms, parameter_values, resolved

PATH = "/_cloudformation"
_MOST_BYTES = 2 * 1024 * 1024
_N = f"{{{NAMESPACE}}}"
_SET_HERE = (b"content-length", b"date")  # by our own server
_ALARMED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")

Form = dict[str, str]


class StackApi:
    """The ASGI application behind `AWS_ENDPOINT_URL_CLOUDFORMATION`."""

    def __init__(
        self, control_plane: ControlPlane, cloudwatch: Any, recreation: Recreation
    ) -> None:
        self._control_plane = control_plane
        self._cloudwatch = cloudwatch
        self._recreation = recreation
        self._alarmed: dict[str, str] = {}  # stack → the update whose alarms are there
        self._names: dict[str, set[str]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one call."""
        body = (await read_body(receive, _MOST_BYTES)).decode()
        form = dict(parse_qsl(body, keep_blank_values=True))
        if "TemplateBody" in form:
            form["TemplateBody"] = with_stand_ins(form["TemplateBody"])
        status, headers, content = await self._ask(form, scope["headers"])
        if status == 200 and form.get("Action") == "DescribeChangeSet":
            content = await self._describe(form, scope["headers"], content)
        if status == 200 and form.get("Action") == "DescribeStacks":
            await self._put_alarms(scope["headers"], content)
        kept = [header for header in headers if header[0] not in _SET_HERE]
        await answer(send, status, kept, content)

    async def _ask(self, form: Form, headers: RawHeaders) -> tuple[int, RawHeaders, bytes]:
        sent = [header for header in headers if header[0] != b"content-length"]
        return await self._control_plane.forward("POST", b"/", sent, urlencode(form).encode())

    async def _describe(self, form: Form, headers: RawHeaders, content: bytes) -> bytes:
        if form.get("IncludePropertyValues") != "true":
            return corrected(content, self._recreation, None)
        stack = form["StackName"]
        old = await self._template(stack, headers)
        new = await self._template(stack, headers, form["ChangeSetName"])
        given = await self._parameters(stack, headers)

        def value(template: dict[str, Any], logical_id: str, name: str) -> Any:
            resource = template["Resources"].get(logical_id, {})
            wanted = resource.get("Properties", {}).get(name)
            return resolved(wanted, template, parameter_values(template, given))

        return corrected(
            content,
            self._recreation,
            lambda logical_id, name: (value(old, logical_id, name), value(new, logical_id, name)),
        )

    async def _template(
        self, stack: str, headers: RawHeaders, change_set: str = ""
    ) -> dict[str, Any]:
        form = {"Action": "GetTemplate", "Version": "2010-05-15", "StackName": stack}
        form |= {"TemplateStage": "Original"} | (
            {"ChangeSetName": change_set} if change_set else {}
        )
        _, _, content = await self._ask(form, headers)
        root = parsed(content)
        return without_stand_ins(root.findtext(f".//{_N}TemplateBody", default="{}"))

    async def _parameters(self, stack: str, headers: RawHeaders) -> dict[str, str]:
        form = {"Action": "DescribeStacks", "Version": "2010-05-15", "StackName": stack}
        _, _, content = await self._ask(form, headers)
        root = parsed(content)
        return _parameters(root)

    async def _put_alarms(self, headers: RawHeaders, content: bytes) -> None:
        root = parsed(content)
        for member in root.iterfind(f".//{_N}Stacks/{_N}member"):
            name = member.findtext(f"{_N}StackName", default="")
            update = ElementTree.tostring(member).decode()
            done = member.findtext(f"{_N}StackStatus", default="") in _ALARMED
            if done and self._alarmed.get(name) != update:
                template = await self._template(name, headers)
                await asyncio.to_thread(self._put, name, template, _parameters(member))
                self._alarmed[name] = update

    def _put(self, stack: str, template: dict[str, Any], given: dict[str, str]) -> None:
        wanted = alarms(template, parameter_values(template, given))
        for alarm in wanted:
            self._cloudwatch.put_metric_alarm(**alarm)
        names = {alarm["AlarmName"] for alarm in wanted}
        gone = self._names.get(stack, set()) - names
        if gone:
            self._cloudwatch.delete_alarms(AlarmNames=sorted(gone))
        self._names[stack] = names


def _parameters(element: ElementTree.Element) -> dict[str, str]:
    return {
        member.findtext(f"{_N}ParameterKey", default=""): member.findtext(
            f"{_N}ParameterValue", default=""
        )
        for member in element.iterfind(f".//{_N}Parameters/{_N}member")
    }
