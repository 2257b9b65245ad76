-- How a leg fared second by second: media::seconds in bytes. Null for legs from before and those that lived too short.
alter table call_quality add column seconds blob;
