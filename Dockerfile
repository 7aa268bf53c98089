# One image for every app of the workspace: docker build --build-arg APP=production-forecast .
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY libs libs
COPY apps apps
COPY tools tools
COPY tsconfig.json ./
# The image brings its own Node 24; the pinned one of the workspace serves other machines.
RUN npm ci --ignore-scripts && npm run build && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
ARG APP=production-forecast
ENV NODE_ENV=production APP=${APP}
WORKDIR /srv
COPY --from=build --chown=node:node /src/package.json ./
COPY --from=build --chown=node:node /src/node_modules node_modules
COPY --from=build --chown=node:node /src/libs libs
COPY --from=build --chown=node:node /src/apps apps
USER node
# exec: the app is process 1 and gets the signals itself.
CMD ["sh", "-c", "exec node --enable-source-maps apps/$APP/dist/main.js"]
