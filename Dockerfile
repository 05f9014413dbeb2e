# The agent's container image: one folder that scripts/image.ts makes, and nothing else. Every RUN line works outside Docker too, and CI
# runs it there (test/kernel/image.test.ts).

FROM node:24-bookworm AS build
WORKDIR /src
COPY . .
RUN sh scripts/setup.sh
RUN node_modules/.bin/node scripts/image.ts /image

FROM scratch
COPY --from=build /image/ /
# Root of the container, without capabilities but those that the DaemonSet adds.
USER 0:0
ENTRYPOINT ["/usr/lib/picket/bin/node", "--min-semi-space-size=16", "--max-semi-space-size=32", "/usr/lib/picket/agent/cli/main.mjs"]
CMD ["run", "--in-cluster", "--output=json"]
