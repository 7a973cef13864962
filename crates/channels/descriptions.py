#!/usr/bin/env python3
"""Makes what the adapters' calls are checked against, out of the platforms' own descriptions.

    python3 crates/channels/descriptions.py FOLDER

FOLDER has the descriptions as they are published: `discord-openapi.json` (github.com/discord/discord-api-spec),
`line-messaging-api.yml` (line/line-openapi), `whatsapp-cloud-api.yaml` (facebook/openapi), `telegram-bot-api.json`
(PaulSonOfLars/telegram-bot-api-spec) and `slack-web-api.json` (slackapi/slack-api-specs). Needs PyYAML.

They are checked to the last value. What is kept of Google Chat, Matrix, Teams and Twilio is not made here and has less: the names of keys
and which of them are required.

All become one form, which crates/channels/src/exam/description explains: the small part of JSON Schema that is checked there. Only what
is called is kept, and of it only what may be sent; a rule that the checker does not know ends this program. What a platform documents and
its description lacks or has wrong is below, each with its source. Types that only payloads are checked with, keys alone, stay as they are
in the files.
"""

import json
import re
import sys
from pathlib import Path

import yaml

ADAPTERS = Path(__file__).parent / "src/adapters"
KEPT = {"type", "enum", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"}
# What says nothing about a value, or nothing more than its type.
SILENT = {"description", "example", "examples", "default", "title", "externalDocs", "deprecated", "discriminator", "allOf",
          "nullable", "format", "pattern", "properties", "required", "additionalProperties", "items", "$ref", "oneOf",
          "anyOf", "uniqueItems", "const", "readOnly", "xml", "summary"}
# Formats that are none of these only name a type, like double, or what nobody can check, like nonce.
FORMATS = {"int32": "int32", "uri": "uri", "url": "uri", "snowflake": "digits"}
# A version of the Graph API is whatever `api_url` says; what is in templates is not looked at.
PATTERNS = {"^[0-9]+$": "digits", "^(0|[1-9][0-9]*)$": "digits", "^[a-zA-Z0-9_]+$": "ascii_word", "^v[0-9]+\\.[0-9]+$": None, "^[2-6, 11-14]$": None}


class OpenApi:
    """OpenAPI 3.0 and 3.1, which differ in how they say that something may be null."""

    def __init__(self, spec, leave_out=()):
        self.schemas, self.shared = spec["components"]["schemas"], spec["components"].get("parameters", {})
        self.paths, self.leave_out = spec["paths"], set(leave_out)
        self.types = {}

    def call(self, verb, path, kind="application/json", form=None):
        item = self.paths[path]
        operation = item[verb]
        named = [self.parameter(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        in_path = {one["name"]: self.schema(one["schema"]) for one in named if one["in"] == "path"}
        for name in re.findall(r"\{([^}]+)\}", path):
            in_path.setdefault(name, {"type": "string"})
        query = [one for one in named if one["in"] == "query"]
        call = {"call": f"{verb.upper()} {path}", "path": in_path, "query": {
            "type": "object",
            "properties": {one["name"]: self.schema(one["schema"]) for one in query},
            "required": [one["name"] for one in query if one.get("required")],
        }}
        if "requestBody" in operation:
            call["body"] = form or self.schema(operation["requestBody"]["content"][kind]["schema"])
        return call

    def parameter(self, one):
        return self.shared[one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one

    def type(self, name):
        if name not in self.types:
            self.types[name] = {}  # Types refer to each other in circles.
            self.types[name] = self.schema(self.schemas[name])
        return {"$ref": name}

    def schema(self, given):
        if "$ref" in given:
            return self.type(given["$ref"].rsplit("/", 1)[1])
        unknown = {key for key in given if key not in KEPT | SILENT and not key.startswith("x-")}
        assert not unknown, f"no rule for {unknown}"
        if "discriminator" in given and "allOf" not in given:
            return self.union(given["discriminator"])
        known = {key: given[key] for key in KEPT if key in given}
        pattern = PATTERNS[given["pattern"]] if "pattern" in given else None
        for rule in [FORMATS.get(given.get("format")), pattern]:
            if rule:
                known["format"] = rule
        if given.get("uniqueItems"):
            known["distinct"] = [""]
        if "const" in given:
            known["enum"] = [given["const"]]
        if "items" in given:
            known["items"] = self.schema(given["items"])
        parts = [self.whole(part) for part in given.get("allOf", [])]
        if "properties" in given or "required" in given or parts:
            known = self.object(given, parts, known)
        branches = given.get("oneOf", given.get("anyOf"))
        if branches:
            known = self.branches(given, branches, known)
        if given.get("nullable") and isinstance(known.get("type"), str):
            known["type"] = [known["type"], "null"]
        return known

    def whole(self, part):
        """What a part of an object is, without what it may become by its tag."""
        schema = self.schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        schema = {key: value for key, value in schema.items() if key != "discriminator"}
        return self.schema(schema)

    def object(self, given, parts, known):
        properties, required = {}, set(given.get("required", []))
        for part in parts:
            if "enum" in part and "enum" not in known and "properties" not in part:
                known["enum"] = part["enum"]
            properties |= part.get("properties", {})
            required |= set(part.get("required", []))
        if not properties and "properties" not in given:
            return known
        own = {name: self.schema(one) for name, one in given.get("properties", {}).items() if name not in self.leave_out}
        known |= {"type": known.get("type", "object"), "properties": properties | own, "required": sorted(required)}
        if given.get("additionalProperties") not in (None, False):
            known["additionalProperties"] = True
        return known

    def branches(self, given, branches, known):
        if all("const" in branch for branch in branches):
            return known | {"enum": [branch["const"] for branch in branches]}
        kept = [one for one in branches if one.get("$ref", "").rsplit("/", 1)[-1] not in self.leave_out]
        made = [self.schema(one) for one in kept]
        # Branches that only say what else is required are objects with the rest.
        made = [known | one | {"properties": known.get("properties", {}) | one.get("properties", {})}
                if "properties" in one and "properties" in known else one for one in made]
        return made[0] if len(made) == 1 else {"anyOf": made}

    def union(self, tagged):
        mapping = {tag: ref.rsplit("/", 1)[1] for tag, ref in tagged["mapping"].items()}
        mapping = {tag: name for tag, name in mapping.items() if name not in self.leave_out}
        for name in mapping.values():
            self.type(name)
        return {"discriminator": {"propertyName": tagged["propertyName"], "mapping": mapping}}


def discord(folder):
    left = """embeds sticker_ids shared_client_theme name_localizations description_localizations contexts handler integration_types
        default_member_permissions dm_permission choices ContainerComponentForMessageRequest FileComponentForMessageRequest
        MediaGalleryComponentForMessageRequest SectionComponentForMessageRequest SeparatorComponentForMessageRequest
        TextDisplayComponentForMessageRequest ChannelSelectComponentForMessageRequest MentionableSelectComponentForMessageRequest
        RoleSelectComponentForMessageRequest UserSelectComponentForMessageRequest ApplicationCommandAttachmentOption
        ApplicationCommandBooleanOption ApplicationCommandChannelOption ApplicationCommandIntegerOption
        ApplicationCommandMentionableOption ApplicationCommandNumberOption ApplicationCommandRoleOption
        ApplicationCommandSubcommandGroupOption ApplicationCommandSubcommandOption ApplicationCommandUserOption
        ApplicationCommandAutocompleteCallbackRequest LaunchActivityInteractionCallbackRequest ModalInteractionCallbackRequest
        PongInteractionCallbackRequest SocialLayerSKUPurchaseEligibilityInteractionCallbackRequest
        CreateTextThreadWithoutMessageRequest applied_tags""".split()
    spec = OpenApi(json.loads((folder / "discord-openapi.json").read_text()), left)
    wanted = """add_my_message_reaction bulk_set_application_commands create_interaction_response create_message
        create_thread create_thread_from_message delete_message delete_my_message_reaction get_bot_gateway get_channel get_message get_my_application
        get_my_user list_application_commands list_guild_roles trigger_typing_indicator update_message""".split()
    calls = {operation["operationId"]: spec.call(verb, path) for path, item in spec.paths.items()
             for verb, operation in item.items() if isinstance(operation, dict) and operation.get("operationId") in wanted}
    assert sorted(calls) == wanted
    # A bot's limit is lower than what the description allows: docs.discord.com/developers/resources/message#create-message
    for name in ["MessageCreateRequest", "BaseCreateMessageCreateRequest", "MessageEditRequestPartial",
                 "IncomingWebhookInteractionRequest"]:
        spec.types[name]["properties"]["content"]["maxLength"] = 2000
    return "discord-api-spec, July 2026", {"calls": calls, "types": spec.types}


def line(folder):
    left = """sender emojis customAggregationUnits styles altUri TextMessageV2 StickerMessage ImagemapMessage TemplateMessage
        CouponMessage FlexCarousel FlexFiller FlexIcon FlexImage FlexSeparator FlexSpan FlexVideo CameraAction CameraRollAction
        ClipboardAction DatetimePickerAction LocationAction MessageAction RichMenuSwitchAction background""".split()
    spec = OpenApi(yaml.safe_load((folder / "line-messaging-api.yml").read_text()), left)
    bot = "/v2/bot"
    calls = {
        "pushMessage": ("post", f"{bot}/message/push"), "replyMessage": ("post", f"{bot}/message/reply"),
        "markMessagesAsReadByToken": ("post", f"{bot}/chat/markAsRead"),
        "showLoadingAnimation": ("post", f"{bot}/chat/loading/start"), "getBotInfo": ("get", f"{bot}/info"),
        "getProfile": ("get", bot + "/profile/{userId}"), "getGroupSummary": ("get", bot + "/group/{groupId}/summary"),
        "getGroupMemberProfile": ("get", bot + "/group/{groupId}/member/{userId}"),
        "getRoomMemberProfile": ("get", bot + "/room/{roomId}/member/{userId}"),
        "getMessageContent": ("get", bot + "/message/{messageId}/content"),
    }
    calls = {name: spec.call(*call) for name, call in calls.items()}
    reference = spec.types  # What developers.line.biz/en/reference/messaging-api says and the description leaves out.
    limits = {("TextMessage", "text"): (1, 5000), ("FlexMessage", "altText"): (1, 1500), ("LocationMessage", "title"): (1, 100),
              ("LocationMessage", "address"): (1, 100), ("PostbackAction", "displayText"): (1, 300),
              ("URIAction", "uri"): (1, 1000)}
    for (name, key), (least, most) in limits.items():
        reference[name]["properties"][key] |= {"minLength": least, "maxLength": most}
    for name in ["ImageMessage", "VideoMessage", "AudioMessage"]:
        for key in ["originalContentUrl", "previewImageUrl"]:
            if key in reference[name]["properties"]:
                reference[name]["properties"][key] |= {"format": "https", "maxLength": 2000}
    reference["ShowLoadingAnimationRequest"]["properties"]["loadingSeconds"]["multipleOf"] = 5
    # By the page these are required, too: of a postback its data, of a uri action the uri, of a button in a quick reply its action.
    for name, key in [("PostbackAction", "data"), ("URIAction", "uri"), ("QuickReplyItem", "action"), ("FlexText", "text"),
                      ("PostbackAction", "type"), ("URIAction", "type"), ("QuickReplyItem", "type")]:
        reference[name]["required"] = sorted({*reference[name]["required"], key})
    return "line-openapi, July 2026", {"calls": calls, "types": reference}


def whatsapp(folder):
    text = (folder / "whatsapp-cloud-api.yaml").read_text()
    left = ["StickerMessage", "ContactsMessage", "ActionObject", "ParameterObject"]
    spec = OpenApi(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), left)
    number = "/{Version}/{Phone-Number-ID}"
    calls = {"sendMessage": spec.call("post", number + "/messages"),
             "uploadMedia": spec.call("post", number + "/media", "multipart/form-data"),
             "configureConversationalAutomation": spec.call("post", number + "/conversational_automation"),
             "getPhoneNumber": spec.call("get", number), "getMedia": spec.call("get", "/{Version}/{Media-ID}")}
    spec.type("MarkMessageRequestPayload")
    action = spec.schemas["ActionObject"]["oneOf"]
    return "facebook/openapi, business messaging v23.0", {"calls": calls, "types": documented(calls, spec, action)}


def documented(calls, spec, action):
    """Meta's types, with what its pages say: developers.facebook.com/documentation/business-messaging/whatsapp/..."""
    types, text = spec.types, {"type": "string", "minLength": 1}
    # Graph API, developers.facebook.com/docs/graph-api/guides/secure-requests
    for call in calls.values():
        call["query"]["properties"]["appsecret_proof"] = {"type": "string", "minLength": 64, "maxLength": 64}
    # .../business-phone-numbers/media: what an upload must have.
    calls["uploadMedia"]["body"]["required"] = ["file", "messaging_product"]
    calls["uploadMedia"]["body"]["properties"]["type"] = text
    # .../business-phone-numbers/conversational-components, and the description in words: names are unique.
    types["ConversationalAutomationRequest"]["properties"]["commands"]["distinct"] = ["/command_name"]
    for key in ["command_name", "command_description"]:
        types["BotCommand"]["properties"][key]["minLength"] = 1
    # .../typing-indicators: read marks and signs of writing are posted to where messages are.
    mark = types["MarkMessageRequestPayload"]["properties"]
    mark["status"]["enum"] = ["read"]
    mark["typing_indicator"] = strict({"type": {"type": "string", "enum": ["text"]}})
    calls["sendMessage"]["body"] = {"anyOf": [{"$ref": "MarkMessageRequestPayload"}, {"$ref": "Message"}]}
    for name in types["Message"]["discriminator"]["mapping"].values():
        message = types[name]
        message["properties"]["messaging_product"]["enum"] = ["whatsapp"]
        # .../business-scoped-user-ids: who hides the number is named by `recipient`.
        message["properties"]["recipient"] = text
        message["required"].remove("to")
        message["anyOf"] = [{"required": ["to"]}, {"required": ["recipient"]}]
    # .../messages/text-messages, location-messages, reaction-messages, image-messages, audio-messages, document-messages
    types["TextMessage"]["properties"]["text"]["properties"]["body"] |= {"minLength": 1, "maxLength": 4096}
    types["TextMessage"]["properties"]["text"]["required"] = ["body"]
    types["LocationMessage"]["properties"]["location"]["required"] = ["latitude", "longitude"]
    types["ReactionMessage"]["properties"]["reaction"]["required"] = ["emoji", "message_id"]
    types["MessageContext"]["required"] = ["message_id"]
    caption = {"type": "string", "maxLength": 1024}
    for kind, more in {"Image": {"caption": caption}, "Video": {"caption": caption}, "Audio": {"voice": {"type": "boolean"}},
                       "Document": {"caption": caption, "filename": text}}.items():
        file = {"type": "object", "properties": {"id": text} | more, "required": ["id"]}
        types[f"{kind}Message"]["properties"][kind.lower()] = file
    types["HeaderObject"]["properties"]["document"] = strict({"id": text}, {"filename": text})
    for kind in ["image", "video"]:
        types["HeaderObject"]["properties"][kind] = strict({"id": text})
    del types["MediaObject"]
    interactive(types, spec, action)
    # .../templates/overview: all its examples name a language without a policy. What is in a template, its author knows.
    types["LanguageObject"]["required"] = ["code"]
    types["TemplateObject"]["properties"]["components"]["items"] = {"type": "object"}
    return reachable(types, calls)


def interactive(types, spec, action):
    """One type for each of what the description has in one, so that what does not fit is told of the right one."""
    rows = {"type": "array", "minItems": 1, **types["SectionObject"]["properties"]["rows"], "distinct": ["/id", "/title"]}
    for key in ["id", "title"]:
        rows["items"]["properties"][key]["minLength"] = 1
    types["SectionObject"] = strict({"rows": rows}, {"title": types["SectionObject"]["properties"]["title"]})
    of = {key: spec.schema(one) for one in action for key in ["button", "buttons"] if key in one["properties"]}
    for key in ["id", "title"]:
        of["buttons"]["properties"]["buttons"]["items"]["properties"]["reply"]["properties"][key]["minLength"] = 1
    # .../messages/interactive-reply-buttons-messages: ids and titles are unique within a message.
    of["buttons"]["properties"]["buttons"]["distinct"] = ["/reply/id", "/reply/title"]
    # .../messages/interactive-cta-url-messages, which the description does not know yet.
    link = strict({"display_text": {**{"type": "string", "minLength": 1}, "maxLength": 20},
                   "url": {"type": "string", "format": "uri"}})
    of["link"] = strict({"name": {"type": "string", "enum": ["cta_url"]}, "parameters": link})
    whole, mapping = types.pop("InteractiveObject"), {}
    for tag, key, most in [("button", "buttons", 1024), ("list", "button", 4096), ("cta_url", "link", 1024)]:
        body = strict({"text": {"type": "string", "minLength": 1, "maxLength": most}})  # 4096: .../messages/interactive-list-messages
        properties = {key: value for key, value in whole["properties"].items() if key != "footer"}
        name = mapping[tag] = f"Interactive {tag}"
        types[name] = {"type": "object", "properties": properties | {
            "type": {"type": "string", "enum": [tag]}, "body": body, "action": of[key]}, "required": ["action", "body", "type"]}
    types["InteractiveObject"] = {"discriminator": {"propertyName": "type", "mapping": mapping}}


def strict(required, optional=None):
    return {"type": "object", "properties": required | (optional or {}), "required": sorted(required)}


def reachable(types, roots):
    """Those to which something refers."""
    found, texts = {}, [json.dumps(roots)]
    while texts:
        text = texts.pop()
        names = re.findall(r'"\$ref": "([^"]+)"', text)
        names += [name for mapping in re.findall(r'"mapping": (\{[^}]*\})', text) for name in json.loads(mapping).values()]
        for name in names:
            if name not in found:
                found[name] = types[name]
                texts.append(json.dumps(types[name]))
    return found


SCALARS = {"Integer": {"type": "integer"}, "String": {"type": "string"}, "Boolean": {"type": "boolean"},
           "Float": {"type": "number"}, "InputFile": {"type": "string"}, "True": {"type": "boolean", "enum": [True]}}


class BotApi:
    """Telegram's: fields with types in words, and limits in sentences."""

    def __init__(self, spec, sent):
        self.spec, self.sent, self.types = spec, set(sent), {}

    def object(self, described):
        fields = [(one, self.of(one)) for one in described.get("fields", [])]
        fields = [(one, schema) for one, schema in fields if schema]
        return {"type": "object", "properties": {one["name"]: schema for one, schema in fields},
                "required": sorted(one["name"] for one in described.get("fields", []) if one["required"])}

    def of(self, field):
        made = [made for made in map(self.type, field["types"]) if made]
        unique = [one for n, one in enumerate(made) if one not in made[:n]]
        if not unique:
            return None
        schema = dict(unique[0]) if len(unique) == 1 else {"anyOf": unique}
        return schema | limits(schema, field["description"])

    def type(self, name):
        if name.startswith("Array of "):
            inner = self.type(name.removeprefix("Array of "))
            return inner and {"type": "array", "items": inner}
        if name in SCALARS:
            return SCALARS[name]
        if name not in self.sent:
            return None
        if name not in self.types:
            self.types[name] = {}
            described = self.spec["types"][name]
            subtypes = [made for made in map(self.type, described.get("subtypes", [])) if made]
            self.types[name] = {"anyOf": subtypes} if subtypes else self.object(described)
        return {"$ref": name}


def limits(schema, sentence):
    found = {}
    if schema.get("type") == "string":
        counted = re.search(r"(\d+)-(\d+) (characters|bytes)( after entities parsing)?", sentence)
        if counted:
            least, most, unit, parsed = counted.groups()
            found["minLength"] = int(least)
            if not parsed:  # The formatting does not count, but stands in the text.
                found["maxLength" if unit == "characters" else "maxBytes"] = int(most)
        fixed = re.search(r'(?:always "?|must be )(\w+)"?$', sentence)
        if fixed and " " not in fixed.group(1):
            found["enum"] = [fixed.group(1)]
        if "it can be one of" in sentence:
            found["enum"] = re.findall('"([^"]+)"', sentence)
    counted = re.search(r"(\d+)-(\d+) (?:answer options|items|identifiers)", sentence)
    if schema.get("type") == "array" and counted:
        found |= {"minItems": int(counted.group(1)), "maxItems": int(counted.group(2))}
    between = re.search(r"(?:Values between|delivery,) (\d+)-(\d+)", sentence)
    if schema.get("type") == "integer" and between:
        found |= {"minimum": int(between.group(1)), "maximum": int(between.group(2))}
    return found


def telegram(folder):
    spec = json.loads((folder / "telegram-bot-api.json").read_text())
    sent = """BotCommand InlineKeyboardButton InlineKeyboardMarkup InputMediaAudio InputMediaDocument InputMediaPhoto InputMediaVideo
        InputPollOption ReactionType ReactionTypeEmoji ReplyParameters""".split()
    wanted = """answerCallbackQuery deleteMessage deleteMessages deleteWebhook editMessageCaption editMessageReplyMarkup editMessageText
        getFile getMe getMyCommands getUpdates getWebhookInfo sendAudio sendChatAction sendDocument sendLocation sendMediaGroup
        sendMessage sendPhoto sendPoll sendVenue sendVideo sendVoice setMessageReaction setMyCommands setWebhook""".split()
    api = BotApi(spec, sent)
    methods = {name: api.object(spec["methods"][name]) for name in wanted}
    types = api.types
    # core.telegram.org/bots/api, in words that no pattern above finds.
    updates = [field["name"] for field in spec["types"]["Update"]["fields"] if field["name"] != "update_id"]
    for name in ["getUpdates", "setWebhook"]:
        methods[name]["properties"]["allowed_updates"]["items"] = {"type": "string", "enum": updates}
    for described in [*methods.values(), *types.values()]:
        if "parse_mode" in described.get("properties", {}):
            described["properties"]["parse_mode"]["enum"] = ["MarkdownV2", "HTML", "Markdown"]
    methods["setMyCommands"]["properties"]["commands"]["maxItems"] = 100
    methods["setMessageReaction"]["properties"]["reaction"]["maxItems"] = 1
    methods["sendChatAction"]["properties"]["action"]["enum"] = ["typing"]  # The others are for what takes long to upload.
    types["BotCommand"]["properties"]["command"]["format"] = "word"
    types["InlineKeyboardButton"]["anyOf"] = [{"required": ["url"]}, {"required": ["callback_data"]}]
    media = methods["sendMediaGroup"]["properties"]["media"] = {"type": "array", "minItems": 2, "maxItems": 10, "items": {}}
    media["items"] = {"discriminator": {"propertyName": "type", "mapping": {
        kind: f"InputMedia{kind.title()}" for kind in ["audio", "document", "photo", "video"]}}}
    return "Bot API 10.1", {"methods": methods, "types": types}


def slack(folder):
    spec = json.loads((folder / "slack-web-api.json").read_text())
    wanted = """auth.test chat.delete chat.postMessage chat.update conversations.info conversations.open files.delete files.info
        reactions.add reactions.get reactions.remove users.info""".split()
    methods = {}
    for name in wanted:
        (operation,) = spec["paths"]["/" + name].values()
        # The token goes in a header.
        given = [one for one in operation["parameters"] if one["name"] != "token"]
        methods[name] = {"type": "object", "properties": {one["name"]: {"type": one["type"]} for one in given},
                         "required": sorted(one["name"] for one in given if one.get("required"))}
    text, stamp = {"type": "string", "minLength": 1}, {"type": "string", "format": "stamp"}
    # docs.slack.dev/reference/methods, for what is newer than the archived description or wrong in it: a message's time is a text.
    methods |= {
        "apps.connections.open": strict({}),
        "assistant.threads.setStatus": strict({"channel_id": text, "thread_ts": stamp, "status": {"type": "string"}}),
        "files.getUploadURLExternal": strict(
            {"filename": text, "length": {"type": "integer", "minimum": 1}}, {"alt_txt": text, "snippet_type": text}),
        "files.completeUploadExternal": strict(
            {"files": {"type": "array", "minItems": 1, "items": {"$ref": "uploaded file"}}},
            {"channel_id": text, "thread_ts": stamp, "initial_comment": text}),
    }
    for method in methods.values():
        properties = method["properties"]
        for key in {"ts", "thread_ts", "timestamp"} & properties.keys():
            properties[key] = stamp
        for key in {"channel", "channel_id", "file", "user", "users", "name"} & properties.keys():
            properties[key] = text
        properties.pop("attachments", None)
        if "blocks" in properties:
            # docs.slack.dev/reference/block-kit/blocks: JSON takes them as they are; 50 at most.
            properties["blocks"] = {"type": "array", "maxItems": 50, "items": tagged("actions", "section")}
        if "text" in properties:
            properties["text"]["maxLength"] = 40000  # docs.slack.dev/reference/methods/chat.postMessage
    methods["chat.delete"]["required"] = methods["reactions.remove"]["required"] = ["channel"]
    methods["chat.delete"]["required"] = ["channel", "ts"]
    methods["reactions.remove"]["required"] = ["channel", "name", "timestamp"]
    methods["chat.postMessage"]["anyOf"] = [{"required": ["text"]}, {"required": ["blocks"]}]
    return "slack-api-specs 1.7.0; what it lacks is from docs.slack.dev/reference, November 2026", {
        "methods": methods, "types": blocks(text)}


def blocks(text):
    """docs.slack.dev/reference/block-kit"""
    kind = lambda name: {"type": "string", "enum": [name]}
    written = lambda most: {"type": "string", "minLength": 1, "maxLength": most}
    button = strict(
        {"type": kind("button"), "text": {"$ref": "label"}},
        {"action_id": written(255), "value": written(2000), "url": {**written(3000), "format": "uri"}})
    return {
        "actions": strict({"type": kind("actions"), "elements": {
            "type": "array", "minItems": 1, "maxItems": 25, "items": tagged("button"), "distinct": ["/action_id"]}}),
        "button": button,
        "label": strict({"type": kind("plain_text"), "text": written(75)}, {"emoji": {"type": "boolean"}}),
        "mrkdwn": strict({"type": kind("mrkdwn"), "text": written(3000)}, {"verbatim": {"type": "boolean"}}),
        "section": strict({"type": kind("section"), "text": {"$ref": "mrkdwn"}}),
        "uploaded file": strict({"id": text}, {"title": text}),
    }


def tagged(*names):
    return {"discriminator": {"propertyName": "type", "mapping": {name: name for name in names}}}


FILES = {"discord/api.json": discord, "line/api.json": line, "slack/api.json": slack, "telegram/bot-api.json": telegram,
         "whatsapp/api.json": whatsapp}


def main():
    folder = Path(sys.argv[1])
    for name, extract in FILES.items():
        version, made = extract(folder)
        file = ADAPTERS / name
        old = json.loads(file.read_text())
        # What payloads are checked with.
        kept = {key: value for key, value in old["types"].items() if not any(value.get("properties", {"": 1}).values())}
        made["types"] = made["types"] | kept
        file.write_text(written({"version": version} | made))


def written(description):
    """One line for each call and type, so that a change of the platform's is seen as what it is."""
    dump = lambda value: json.dumps(value, sort_keys=True, ensure_ascii=False)
    parts = []
    for name, part in sorted(description.items()):
        lines = [f"    {dump(key)}: {dump(one)}" for key, one in sorted(part.items())] if isinstance(part, dict) else None
        whole = "{\n" + ",\n".join(lines) + "\n  }" if lines else dump(part)
        parts.append(f"  {dump(name)}: {whole}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
