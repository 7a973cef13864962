-- What is pending in a conversation, in order, whatever its history is: asked for each message that is accepted, so that it
-- does not overtake one that another gateway accepted and nobody was told of; and when an owner reads a conversation on.
create index messages_conversation_pending on messages (channel_id, conversation, seq) where finished_at is null;
