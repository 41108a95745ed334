#!/bin/sh
# Run once by PostgreSQL's container, when its volume is new: the account of the public side, whose rights the portal's
# migrations grant to the role it is in.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -v password="$PUBLIC_SIDE_PASSWORD" <<'SQL'
CREATE ROLE gongzhi_public NOLOGIN;
CREATE ROLE gongzhi_web LOGIN PASSWORD :'password' IN ROLE gongzhi_public;
SQL
